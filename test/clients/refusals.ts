/** What a guarded agent must have seen, and what must be on record of it. */
import assert from 'node:assert/strict';
import { decisionsOf } from './expected.ts';
import { DENIED } from './policy.ts';
import type { Body } from './doors.ts';
import type { Observation, Seen } from './script.ts';

const DECISION = 'io.github.mcp-verdict/decision';

interface Note {
  readonly uid: string;
  readonly effect: string;
  readonly reason: string;
}

/** The decision that a denial names; undefined for what is no denial. */
function noteOf({ result, error }: Seen): Note | undefined {
  const { isError, _meta } = (result ?? {}) as { isError?: boolean; _meta?: Record<string, Note> };
  if (isError === true) return _meta?.[DECISION];
  return error?.code === -31403 ? (error.data as Note) : undefined;
}

/** What a tool of 2025-11-25 says whose question was refused: that is the server's to tell. */
const TOLD = /^(Sampling|Elicitation) failed: .*Denied by policy/;

/** Steps of a guarded run that were not refused as they should have been, each with what was seen. */
export function notRefused({ steps }: Observation, records: readonly Body[], agent: string): string[] {
  const denied = new Set(
    decisionsOf(records, agent)
      .filter((record) => record['verdict.decision.effect'] === 'deny')
      .map((record) => record['log.record.uid']),
  );
  return Object.entries(steps)
    .filter(([title]) => title !== 'tools are listed')
    .filter(([, seen]) => {
      const note = noteOf(seen);
      const { content = [] } = (seen.result ?? {}) as { content?: readonly { text?: string }[] };
      if (TOLD.test(content[0]?.text ?? '')) return false;
      return note?.effect !== 'deny' || note.reason !== 'rule' || !denied.has(note.uid);
    })
    .map(([title, seen]) => `${title}: ${JSON.stringify(seen)}`);
}

export function assertUnlisted({ steps }: Observation): void {
  const { tools = [] } = (steps['tools are listed']?.result ?? {}) as { tools?: readonly { name: string }[] };
  assert.ok(tools.length > 0);
  assert.ok(!tools.some(({ name }) => name === DENIED.tool));
}
