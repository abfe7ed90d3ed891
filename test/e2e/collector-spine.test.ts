/**
 * The spine against the real thing: 2,000 calls of every kind, half over HTTP and half over stdio, the one with a spool
 * and the other without, through the built command line and a real collector. All that is asserted is read from the files that the collector wrote.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseEventTime } from '../../src/event/clock.ts';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { checkChains } from '../support/chain.ts';
import { ROOT, startCli, startCommand, type Running } from '../support/cli.ts';
import { startCollector, type Collector } from '../support/collector.ts';
import { makeMixedCalls, MIXED_POLICY, SECRET, type MadeCall } from '../support/mixed-calls.ts';
import type { ReceivedLog, ReceivedPoint, ReceivedSpan } from '../support/otlp-files.ts';
import { ALL_DELIVERED } from '../support/serve-scene.ts';
import { createSpanSource } from '../support/span-source.ts';
import { connectHttpAgent, connectPipeAgent, type Carrier } from '../support/traced-agent.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;

const TRACED_SERVER = join(ROOT, 'test/support/traced-server.ts');
/** 16 times 62 and 8 times 126 are 2,000. */
const HTTP_AGENTS = 16;
const CALLS_PER_HTTP_AGENT = 62;
const PIPE_LANES = 8;
const CALLS_PER_PIPE_LANE = 126;
const CALLS = 2000;

const SERVER = 2;
const CLIENT = 3;

interface SpineCall extends MadeCall {
  readonly over: 'tcp' | 'pipe';
}

describe(
  '2,000 calls through a real collector',
  { skip: skipWithoutCollector(), timeout: TIMEOUT_MS },
  () => {
    let directory: string;
    let collector: Collector;
    let upstream: Running;
    let serve: Running;
    let wrap: Running;
    let key: string;
    const calls: SpineCall[] = [];
    let tools: ReadonlyMap<string, readonly ReceivedLog[]>;
    let traces: ReadonlyMap<string, readonly ReceivedSpan[]>;

    before(async () => {
      directory = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-verdict-collector-spine-')));
      collector = await startCollector({ dir: join(directory, 'collector') });
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.httpEndpoint };
      upstream = startCommand(process.execPath, [TRACED_SERVER, 'http'], { env });
      const [, port] = await upstream.waitFor(/listening on (\d+)/);
      const made = newApiKey({ user: 'alice', agent: { id: 'agent-7', name: 'Seven' }, roles: ['ops'] });
      key = made.key;
      const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
      write('policy.yaml', MIXED_POLICY);
      write(
        'keys.yaml',
        JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [made.entry] }),
      );
      write(
        'verdict.yaml',
        `listen: 127.0.0.1:0\npolicy: [policy.yaml]\nservers: {remote: {url: "http://127.0.0.1:${port}/mcp"}}\n` +
          'identity: {api_keys: keys.yaml}\nkeys: {directory: keys}\n' +
          'spool: {directory: spool, durability: sync}\n',
      );
      // Room for a machine that is busy with other things: this is no test of what happens when a queue is full.
      const roomy = { ...env, OTEL_BLRP_MAX_QUEUE_SIZE: '10000', OTEL_BSP_MAX_QUEUE_SIZE: '10000' };
      const options = { env: roomy, cwd: directory };
      serve = startCli(['serve', '--config', 'verdict.yaml'], options);
      const wrapped = ['--', process.execPath, TRACED_SERVER, 'stdio'];
      const names = [
        '--server',
        'local',
        '--agent',
        'stdio-agent',
        '--keys-directory',
        'keys',
        '--durability',
        'none',
      ];
      wrap = startCli(
        ['wrap', '--policy', 'policy.yaml', ...names, '--log-level', 'info', ...wrapped],
        options,
      );
    });

    after(async () => {
      await Promise.all([wrap?.stop('SIGKILL'), serve?.stop('SIGKILL'), upstream?.stop('SIGKILL')]);
      await collector?.kill();
      rmSync(directory, { recursive: true, force: true });
    });

    test('every call is answered as the policy says, and everything ends well', async () => {
      const spans = createSpanSource('traced-agent', collector.httpEndpoint);
      const [, address = ''] = await serve.waitFor(/serving remote at (\S+)/);
      const carriers: readonly Carrier[] = ['header', 'both', 'meta', 'meta'];
      const pipeAgent = await connectPipeAgent(spans, wrap);
      const overHttp = Array.from({ length: HTTP_AGENTS }, async (_, index) => {
        const carrier = carriers[index % carriers.length]!;
        const agent = await connectHttpAgent(spans, { url: new URL(address), key, carrier });
        const made = await makeMixedCalls(agent, CALLS_PER_HTTP_AGENT);
        await agent.close();
        return made.map((call) => ({ ...call, over: 'tcp' as const }));
      });
      const overPipe = Array.from({ length: PIPE_LANES }, async () => {
        const made = await makeMixedCalls(pipeAgent, CALLS_PER_PIPE_LANE);
        return made.map((call) => ({ ...call, over: 'pipe' as const }));
      });
      calls.push(...(await Promise.all([...overHttp, ...overPipe])).flat());
      assert.equal(calls.length, CALLS);
      for (const call of calls) assert.equal(call.answer, call.outcome ?? 'tool_error', JSON.stringify(call));

      await pipeAgent.close();
      assert.deepEqual(await wrap.ended, { code: 0, signal: null }, wrap.stderr());
      assert.deepEqual(await serve.stop(), { code: 0, signal: null }, serve.stderr());
      assert.deepEqual(await upstream.stop(), { code: 0, signal: null }, upstream.stderr());
      await spans.stop();
      assert.match(serve.stderr(), ALL_DELIVERED.sync);
      assert.match(wrap.stderr(), ALL_DELIVERED.none);
      for (const { stderr } of [wrap, serve]) assert.doesNotMatch(stderr(), /mcp-verdict (warn|error)/);
      tools = Map.groupBy(
        collector.logs().filter(({ attributes }) => attributes['mcp.method.name'] === 'tools/call'),
        ({ traceId }) => traceId,
      );
      traces = Map.groupBy(collector.spans(), ({ traceId }) => traceId);
    });

    test('each call has one decision, which says who asked for what, and what policy made of it', () => {
      const digests = digestOf(MIXED_POLICY);
      assert.equal([...tools.values()].flat().length, CALLS);
      for (const call of calls) {
        const decisions = tools.get(call.traceId) ?? [];
        assert.equal(decisions.length, 1, `decisions in trace ${call.traceId}`);
        const { attributes, ...record } = decisions[0]!;
        assert.partialDeepStrictEqual(attributes, {
          ...expectedDecision(call),
          'verdict.policy.digest': digests,
        });
        assert.equal(attributes['verdict.rule.id'], call.rule);
        assert.equal(record.eventName, 'verdict.decision');
        assert.equal(record.severityNumber, severityOf(call));
        const time = attributes['verdict.time'];
        assert.ok(typeof time === 'string');
        const [seconds, nanoseconds] = parseEventTime(time);
        assert.equal(record.timeUnixNano, BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
        assert.equal(record.scope.name, 'mcp-verdict');
        assert.equal(record.resource['service.name'], 'mcp-verdict');
      }
    });

    test('each call that was made has one outcome, in its decision’s trace, and no other has any', () => {
      const outcomes = Map.groupBy(
        collector.logs().filter(({ eventName }) => eventName === 'verdict.outcome'),
        ({ attributes }) => attributes['verdict.decision.uid'],
      );
      for (const call of calls) {
        const decision = tools.get(call.traceId)![0]!;
        const found = outcomes.get(decision.attributes['log.record.uid']) ?? [];
        assert.equal(found.length, call.outcome === undefined ? 0 : 1, `outcomes in trace ${call.traceId}`);
        for (const outcome of found) {
          assert.equal(outcome.attributes['verdict.outcome.status'], call.outcome);
          assert.equal(outcome.attributes['error.type'], errorTypeOf(call));
          assert.equal(
            outcome.attributes['http.response.status_code'],
            call.over === 'tcp' ? 200 : undefined,
          );
          assert.deepEqual([outcome.traceId, outcome.spanId], [decision.traceId, decision.spanId]);
        }
      }
    });

    test('the two chains are whole, and no secret went with them', () => {
      const logs = collector.logs();
      assert.equal(checkChains(logs), 2);
      const uids = logs.map(({ attributes }) => attributes['log.record.uid']);
      assert.equal(new Set(uids).size, logs.length);
      const text = readFileSync(join(directory, 'collector/records/logs.jsonl'), 'utf8');
      assert.ok(text.includes('hello') && !text.includes(SECRET));
    });

    test('agent, proxy and upstream stand in one trace for each call, one under the other, and the decision names its SERVER span', () => {
      for (const call of calls.filter(({ sampled }) => sampled)) {
        const spans = traces.get(call.traceId) ?? [];
        const find = (service: string, kind: number) =>
          spans.find((span) => span.resource['service.name'] === service && span.kind === kind);
        const agent = find('traced-agent', CLIENT);
        const server = find('mcp-verdict', SERVER);
        const client = find('mcp-verdict', CLIENT);
        const served = find('traced-server', SERVER);
        const made = call.outcome !== undefined;
        const what = `${call.over} ${call.tool} ${call.traceId}: ${spans.map(({ name }) => name).join(', ')}`;
        assert.equal(spans.length, made ? 4 : 2, what);
        assert.equal(agent?.spanId, call.spanId, what);
        assert.equal(server?.parentSpanId, call.spanId, what);
        assert.deepEqual(tools.get(call.traceId)?.[0]?.spanId, server.spanId, what);
        assert.deepEqual(
          server.links.map(({ spanId }) => spanId),
          call.ambient === undefined ? [] : [call.ambient],
          what,
        );
        assert.equal(client?.parentSpanId, made ? server.spanId : undefined, what);
        // Over stdio only `_meta` tells of a parent, and the proxy does not rewrite it.
        assert.equal(
          served?.parentSpanId,
          made ? (call.over === 'tcp' ? client?.spanId : call.spanId) : undefined,
          what,
        );
        for (const span of [server, client].filter((span) => span !== undefined)) checkSpan(span, call);
      }
    });

    test('a trace that the agent did not sample has no span anywhere, and its decision all the same', () => {
      const unsampled = calls.filter(({ sampled }) => !sampled);
      assert.ok(unsampled.length >= CALLS / 10);
      for (const call of unsampled) {
        assert.deepEqual(traces.get(call.traceId), undefined);
        const spanId = tools.get(call.traceId)?.[0]?.spanId ?? '';
        assert.match(spanId, /^(?!0{16})[0-9a-f]{16}$/);
        assert.notEqual(spanId, call.spanId);
      }
    });

    test('the counts of decisions and durations are those of the calls', () => {
      const decisions = latest('verdict.decisions');
      const sum = (filter: Record<string, string>): number =>
        decisions.filter(has(filter)).reduce((total, { value }) => total + Number(value), 0);
      for (const effect of ['allow', 'deny', 'require_approval']) {
        for (const server of ['remote', 'local']) {
          const recorded = collector
            .logs()
            .filter(has({ 'verdict.decision.effect': effect, 'verdict.server.name': server }));
          const at = { 'verdict.decision.effect': effect, 'verdict.server.name': server };
          assert.equal(sum(at), recorded.length, `${effect} by ${server}`);
          const planned = calls.filter((call) => call.effect === effect && serverOf(call) === server).length;
          const handshakes =
            effect === 'allow'
              ? recorded.filter(({ attributes }) => !('gen_ai.tool.name' in attributes)).length
              : 0;
          assert.equal(recorded.length, planned + handshakes, `${effect} by ${server}`);
        }
      }
      const isToolCall = has({ 'mcp.method.name': 'tools/call' });
      const durations = (name: string) => countOf(latest(name).filter(isToolCall));
      assert.equal(durations('mcp.server.operation.duration'), CALLS);
      assert.equal(
        durations('mcp.client.operation.duration'),
        calls.filter(({ outcome }) => outcome !== undefined).length,
      );
    });

    test('the time that policy takes is measured in microseconds, and the records are counted', () => {
      const logs = collector.logs();
      const evaluations = latest('verdict.policy.evaluation.duration');
      assert.equal(
        countOf(evaluations),
        logs.filter(({ eventName }) => eventName === 'verdict.decision').length,
      );
      const bounds = evaluations[0]!.explicitBounds.filter((bound) => bound <= 0.001);
      const used = bounds.filter((_, index) =>
        evaluations.some(({ bucketCounts }) => bucketCounts[index]! > 0),
      );
      assert.ok(used.length >= 2, `buckets in use up to a millisecond: ${used.join(', ')}`);

      const total = (name: string): number => latest(name).reduce((sum, { value }) => sum + Number(value), 0);
      assert.equal(total('verdict.records.emitted'), logs.length);
      assert.equal(total('verdict.records.delivered'), logs.length);
      assert.equal(total('verdict.records.lost'), 0);
    });

    /** The last point of each time series of a metric: the counts are cumulative. */
    const latest = (name: string): ReceivedPoint[] => {
      const series = new Map<string, ReceivedPoint>();
      for (const metric of collector.metrics().filter((metric) => metric.name === name)) {
        const instance = metric.resource['service.instance.id'];
        for (const point of metric.points) series.set(JSON.stringify([instance, point.attributes]), point);
      }
      assert.notEqual(series.size, 0, `${name} has not arrived`);
      return [...series.values()];
    };
  },
);

function expectedDecision(call: SpineCall): Record<string, unknown> {
  const who =
    call.over === 'tcp'
      ? {
          'user.id': 'alice',
          'user.roles': ['ops'],
          'gen_ai.agent.id': 'agent-7',
          'verdict.identity.source': 'api_key',
        }
      : {
          'user.id': userInfo().username,
          'gen_ai.agent.id': 'stdio-agent',
          'verdict.identity.source': 'stdio',
        };
  const file = call.rule === undefined ? {} : { name: 'mixed', file: 'policy.yaml', version: '42' };
  return {
    ...who,
    ...Object.fromEntries(Object.entries(file).map(([name, value]) => [`verdict.policy.${name}`, value])),
    'verdict.decision.effect': call.effect,
    'verdict.decision.enforced': true,
    'verdict.decision.reason': call.reason,
    'verdict.server.name': serverOf(call),
    'network.transport': call.over,
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': call.tool,
    'verdict.arguments.keys': Object.keys(call.args),
    ...(call.over === 'tcp'
      ? { 'client.address': '127.0.0.1' }
      : { 'verdict.client.claimed.name': 'pipe-client' }),
  };
}

function checkSpan(span: ReceivedSpan, call: SpineCall): void {
  assert.equal(span.name, `tools/call ${call.tool}`);
  assert.equal(span.attributes['gen_ai.tool.name'], call.tool);
  assert.equal(span.attributes['network.transport'], call.over);
  assert.equal(span.attributes['error.type'], errorTypeOf(call));
  assert.equal(span.statusCode, errorTypeOf(call) === undefined ? 0 : 2);
  assert.equal('server.port' in span.attributes, span.kind === CLIENT && call.over === 'tcp');
  assert.equal('client.address' in span.attributes, span.kind === SERVER && call.over === 'tcp');
}

function serverOf({ over }: SpineCall): string {
  return over === 'tcp' ? 'remote' : 'local';
}

/** `error.type`; a refusal is answered as a tool error. */
function errorTypeOf({ outcome }: SpineCall): string | undefined {
  if (outcome === 'ok') return undefined;
  return outcome === 'rpc_error' ? '-32603' : 'tool_error';
}

function severityOf({ effect, reason }: SpineCall): number {
  if (reason === 'policy_error') return 17;
  return { allow: 9, require_approval: 10, deny: 13 }[effect];
}

function digestOf(text: string): string {
  const loaded = loadPolicy([{ file: 'policy.yaml', text }]);
  assert.ok(loaded.ok);
  return loaded.policy.digest;
}

function countOf(points: readonly ReceivedPoint[]): number {
  return points.reduce((total, { count }) => total + (count ?? 0), 0);
}

const has =
  (wanted: Readonly<Record<string, string>>) =>
  ({ attributes }: { readonly attributes: Readonly<Record<string, unknown>> }): boolean =>
    Object.entries(wanted).every(([name, value]) => attributes[name] === value);
