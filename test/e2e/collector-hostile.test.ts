/**
 * The hostile table against a real collector, which is stricter than a stub: it answers 400, and drops the whole
 * batch, for an integer that is none or text that is not UTF-8.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { checkChains } from '../support/chain.ts';
import { startCollector } from '../support/collector.ts';
import {
  ACCEPTED_ARGUMENTS,
  INVALID_UTF8,
  REFUSED_MESSAGES,
  toolCall,
} from '../support/hostile-arguments.ts';
import type { ReceivedLog } from '../support/otlp-files.ts';
import { startOtlpWitness } from '../support/otlp-witness.ts';
import { ALL_DELIVERED, startServeScene } from '../support/serve-scene.ts';

type Body = Readonly<Record<string, unknown>>;

/** Every message, what the proxy answers it with, and what its decision says. */
/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;

const TABLE: readonly (readonly [what: string, body: string | Uint8Array, status: number, effect: string])[] =
  [
    ...ACCEPTED_ARGUMENTS.map(([what, args]) => [what, toolCall(args), 200, 'allow'] as const),
    ...REFUSED_MESSAGES.map(([what, body]) => [what, body, 400, 'deny'] as const),
    ['invalid UTF-8', INVALID_UTF8, 400, 'deny'],
    ['a tool’s name of terminal escapes', toolCall('{}', '"\\u001b[2J\\ud800"'), 400, 'deny'],
    ['a tool’s name of 10,000 characters', toolCall('{}', `"${'n'.repeat(10_000)}"`), 200, 'deny'],
  ];

/** Each encoding, by the spool's exporter and by the SDK's own. */
const RUNS = [
  ['http/json', 'sync'],
  ['http/json', 'none'],
  ['http/protobuf', 'sync'],
  ['http/protobuf', 'none'],
] as const;

/** Differ from one run to the next. */
const OWN =
  /^(log\.record\.uid|trace_id|span_id|verdict\.(time|stream\..*|decision\.uid|.*duration_ns)|server\.port|service\.instance\.id)$/;

describe(
  'the hostile table through a real collector',
  { skip: skipWithoutCollector(), timeout: TIMEOUT_MS },
  () => {
    const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-collector-hostile-'));
    after(() => rmSync(root, { recursive: true, force: true }));
    const said = new Map<string, ReadonlyMap<string, readonly Body[]>>();

    for (const [protocol, durability] of RUNS) {
      test(`${protocol}, durability ${durability}: every message has its records, whole, and no answer is a 400`, async (t) => {
        const collector = await startCollector({ dir: join(root, protocol, durability) });
        t.after(collector.kill);
        const witness = await startOtlpWitness(collector.httpEndpoint);
        t.after(witness.close);
        const env = {
          OTEL_EXPORTER_OTLP_ENDPOINT: witness.url,
          OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
          // So that the records come in batches of many sizes.
          OTEL_BLRP_SCHEDULE_DELAY: '20',
        };
        // One directory, so that both use the same key for digests.
        const scene = await startServeScene({ directory: join(root, 'scene'), env, durability });
        t.after(scene.close);
        const traces = new Map<string, string>();
        for (const [what, body, expected] of TABLE) {
          const { status, traceId } = await scene.post(body);
          assert.equal(status, expected, what);
          traces.set(what, traceId);
        }
        const { code, stderr } = await scene.stop();
        assert.equal(code, 0, stderr);
        assert.doesNotMatch(stderr, /mcp-verdict (warn|error)|LOST/);
        assert.match(stderr, ALL_DELIVERED[durability]);

        const type = protocol === 'http/json' ? 'application/json' : 'application/x-protobuf';
        assert.deepEqual(new Set(witness.exchanges.map(({ status }) => status)), new Set([200]));
        assert.deepEqual(new Set(witness.exchanges.map(({ contentType }) => contentType)), new Set([type]));
        assert.doesNotMatch(collector.output(), /\t(warn|error)\t/);

        const logs = collector.logs();
        assert.equal(checkChains(logs), 1);
        const byTrace = Map.groupBy(logs, ({ traceId }) => traceId);
        for (const [what, , , effect] of TABLE) {
          const names = (byTrace.get(traces.get(what)!) ?? []).map(({ eventName }) => eventName);
          const outcome = effect === 'allow' ? ['verdict.outcome'] : [];
          assert.deepEqual(names, ['verdict.decision', ...outcome], what);
        }
        said.set(
          `${protocol} ${durability}`,
          new Map([...traces].map(([what, traceId]) => [what, bodiesOf(byTrace.get(traceId))])),
        );
      });
    }

    test('every way brings the same bodies, value for value, and what was judged is in them', () => {
      const [json, ...others] = said.values();
      assert.ok(json !== undefined);
      assert.equal(others.length, RUNS.length - 1);
      for (const [what, , , effect] of TABLE) {
        for (const other of others) assert.deepEqual(other.get(what), json.get(what), what);
        assert.equal(json.get(what)?.[0]?.['verdict.decision.effect'], effect, what);
      }
      const argumentsOf = (what: string) => json.get(what)?.[0]?.['gen_ai.tool.call.arguments'];
      assert.equal(argumentsOf('an integer beyond 2^53'), '{"n":9007199254740993}');
      assert.equal(argumentsOf('a key named __proto__'), '{"__proto__":{"admin":true}}');
      assert.equal(argumentsOf('a number beyond every double'), '{"n":1e400}');
    });
  },
);

function bodiesOf(logs: readonly ReceivedLog[] = []): Body[] {
  return logs.map(({ body }) => {
    assert.ok(typeof body === 'string');
    const members = Object.entries(JSON.parse(body) as Body);
    return Object.fromEntries(members.filter(([name]) => !OWN.test(name)));
  });
}
