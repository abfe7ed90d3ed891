/** What a destination returns, against what the proxy recorded, and against the chain. */
import assert from 'node:assert/strict';
import { runCli } from '../cli.ts';
import type { MadeCall } from '../mixed-calls.ts';
import type { Body, DestinationKind, Returned } from './destination.ts';

/** A record of the spool, as text and read. */
export interface Recorded {
  readonly text: string;
  readonly body: Body;
}

export interface Comparison {
  /** Records of the spool that the destination does not return, in their order. */
  readonly missing: readonly Body[];
  /** How many more it returns than there are. */
  readonly duplicates: number;
}

/**
 * Throws where the destination returns what was never recorded, two records of one id, a body that was changed, or
 * fields that are not those of its body.
 */
export function compare({
  kind,
  returned,
  recorded,
}: {
  readonly kind: DestinationKind;
  readonly returned: readonly Returned[];
  readonly recorded: readonly Recorded[];
}): Comparison {
  const bodies = new Map(recorded.map((each) => [String(each.body['log.record.uid']), each]));
  assert.equal(bodies.size, recorded.length, 'two records of one id in the spool');
  const found = new Set<string>();
  for (const record of returned) {
    // Ours, and JSON: it is compared with what was recorded before anything of it is believed.
    const uid = String((JSON.parse(record.body) as Body)['log.record.uid']);
    const made = bodies.get(uid);
    assert.ok(made !== undefined, `${kind.name} returns a record that was never made: ${record.body}`);
    assert.equal(record.body, made.text, `${kind.name} returns another body`);
    kind.checkFields(record, made.body);
    found.add(uid);
  }
  const missing = [...bodies].filter(([uid]) => !found.has(uid)).map(([, { body }]) => body);
  return { missing, duplicates: returned.length - found.size };
}

export interface Verification {
  readonly code: number | null;
  /** What `records verify` said, and with `--json`. */
  readonly said: string;
}

/** As an auditor: the files that a destination gave, and the public key that the proxy announced. */
export async function verifyExport(
  files: readonly string[],
  recorded: readonly Recorded[],
): Promise<Verification> {
  const [key] = recorded
    .map(({ body }) => body['verdict.lifecycle.public_key'])
    .filter((value) => value !== undefined);
  assert.ok(typeof key === 'string', 'the proxy announced no key');
  const { code, stdout, stderr } = await runCli(['records', 'verify', ...files, '--key', key]);
  return { code, said: stdout + stderr };
}

/** Throws where a call that was made has not one decision that says what policy says, or not the outcome that it had. */
export function checkCalls(made: readonly MadeCall[], recorded: readonly Recorded[]): void {
  const bodies = recorded.map(({ body }) => body);
  const tools = Map.groupBy(
    bodies.filter((body) => body['mcp.method.name'] === 'tools/call'),
    (body) => body['trace_id'],
  );
  const outcomes = Map.groupBy(
    bodies.filter((body) => body['event.name'] === 'verdict.outcome'),
    (body) => body['verdict.decision.uid'],
  );
  for (const call of made) {
    const [decision, ...others] = tools.get(call.traceId) ?? [];
    assert.ok(decision !== undefined && others.length === 0, `decisions in trace ${call.traceId}`);
    assert.equal(decision['verdict.decision.effect'], call.effect);
    assert.equal(decision['verdict.rule.id'], call.rule);
    assert.equal(decision['gen_ai.tool.name'], call.tool);
    const statuses = (outcomes.get(decision['log.record.uid']) ?? []).map(
      (body) => body['verdict.outcome.status'],
    );
    assert.deepEqual(statuses, call.outcome === undefined ? [] : [call.outcome]);
  }
}

/** The arguments of each replay that `records verify` says is needed, up to where it is sent. */
export function replayCommands(said: string): string[][] {
  return [...said.matchAll(/^ *mcp-verdict (records replay --stream \S+ --from \d+ --to \d+)/gm)].map(
    ([, args = '']) => args.split(' '),
  );
}
