/** What must be on record of a run, from what its client has seen. */
import { serverKey, type Body, type Route } from './doors.ts';
import type { Observation, Player, Script, Seen, Step } from './script.ts';

/** Methods of clients that clients use of their own accord too, as often as they like. */
const LISTS: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
]);

/** What is recorded without being in any script. */
const ASIDE = /^(initialize|server\/discover|transport\/(stream|delete)|notifications\/.*)$/;

/** By no policy recorded: see the method table. */
const UNRECORDED: ReadonlySet<string> = new Set(['ping', 'logging/setLevel']);

/** What a client that plays single requests asks and answers besides. */
const ASIDE_SINGLE = /^(roots\/list|subscriptions\/listen)$/;

/** What was played, by whom, and what was seen. */
export interface Played {
  readonly player: Player;
  readonly revision: string;
  readonly script: Script;
  readonly observation: Observation;
}

/** One line for each governed message: `METHOD TARGET -> EFFECT, OUTCOME`. */
export function expectedLines({ script, observation, revision }: Played): string[] {
  const lines = script
    .filter(({ method }) => !UNRECORDED.has(method) && !LISTS.has(method))
    .flatMap((step) => {
      const line = `${step.method} ${targetOf(step)} -> allow, ${outcomeOf(step, observation.steps[step.title])}`;
      const earlier = `${step.method} ${targetOf(step)} -> allow, ok`;
      return [...Array<string>((step.requests ?? 1) - 1).fill(earlier), line];
    });
  // In 2026-07-28 the server asks in its answer to a call, and is told in another one: nothing is answered.
  const end = revision === '2026-07-28' ? '' : ', ok';
  return [...lines, ...observation.asked.map(({ method }) => `${method} - -> allow${end}`)].toSorted();
}

function targetOf({ method, params = {} }: Step): string {
  const { name, uri, ref } = params as { name?: string; uri?: string; ref?: { name?: string; uri?: string } };
  if (method === 'subscriptions/listen') return '-';
  return name ?? uri ?? ref?.name ?? ref?.uri ?? '-';
}

/** A subscription ends when its client goes: the server may answer it before the client is gone, or not. */
const ENDED = 'ended';

function outcomeOf({ method }: Step, seen: Seen | undefined): string {
  if (method === 'subscriptions/listen') return ENDED;
  if (seen?.cancelled === true) return 'cancelled';
  if (seen?.error !== undefined) return 'rpc_error';
  const { isError } = (seen?.result ?? {}) as { readonly isError?: boolean };
  return isError === true ? 'tool_error' : 'ok';
}

/** The same of what is on record. */
export function recordedLines(records: readonly Body[], agent: string, { player }: Played): string[] {
  const outcomes = new Map<unknown, Body[]>();
  for (const record of records) {
    const decision = record['verdict.decision.uid'];
    if (record['event.name'] === 'verdict.outcome')
      outcomes.set(decision, [...(outcomes.get(decision) ?? []), record]);
  }
  return decisionsOf(records, agent)
    .filter((record) => {
      const method = String(record['mcp.method.name']);
      const aside = ASIDE.test(method) || (player.single === true && ASIDE_SINGLE.test(method));
      return !aside && !LISTS.has(method);
    })
    .map((record) => {
      const named =
        record['gen_ai.tool.name'] ?? record['gen_ai.prompt.name'] ?? record['mcp.resource.uri'] ?? '-';
      // What was refused before it had a method says why.
      const target = record['mcp.method.name'] === undefined ? record['verdict.decision.message'] : named;
      const became = outcomes.get(record['log.record.uid']) ?? [];
      const isListen = record['mcp.method.name'] === 'subscriptions/listen';
      const states = became
        .map((outcome) => (isListen ? ENDED : String(outcome['verdict.outcome.status'])))
        .join(' and ');
      const effect = String(record['verdict.decision.effect']);
      return `${String(record['mcp.method.name'])} ${String(target)} -> ${effect}${states === '' ? '' : `, ${states}`}`;
    })
    .toSorted();
}

export const decisionsOf = (records: readonly Body[], agent: string): Body[] =>
  records.filter(
    (record) => record['event.name'] === 'verdict.decision' && record['gen_ai.agent.id'] === agent,
  );

/** How often each list was asked for. */
export function listings(source: Script | readonly Body[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const entry of source) {
    const method = 'method' in entry ? String(entry.method) : String((entry as Body)['mcp.method.name']);
    if (LISTS.has(method)) counts[method] = (counts[method] ?? 0) + 1;
  }
  return counts;
}

/** What every decision of a run must say besides; the members that differ, of all that do. */
export function strangeFacts(records: readonly Body[], route: Route, revision: string): string[] {
  const http = route.client === 'http';
  const facts: Body = {
    'verdict.server.name': serverKey(route),
    'network.transport': http ? 'tcp' : 'pipe',
    'verdict.identity.source': http ? 'api_key' : 'stdio',
    'verdict.decision.enforced': true,
  };
  return records.flatMap((record) => {
    const method = String(record['mcp.method.name']);
    // A handshake agrees on the revision, and mcp-remote makes one of its own whatever its client speaks.
    const agreed = ASIDE.test(method) ? {} : { 'mcp.protocol.version': revision };
    return Object.entries({ ...facts, ...agreed })
      .filter(([key, value]) => record[key] !== value)
      .map(([key]) => `${method}: ${key} is ${String(record[key])}`);
  });
}
