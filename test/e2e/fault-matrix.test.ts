/**
 * Everything that can be behind an endpoint, then recovery, over real connections: nothing lost, nothing out of
 * order, a dead letter only for the record that is truly bad.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createHonestOtlpExporter } from '../../src/export/honest-otlp.ts';
import type { OtlpEndpoint } from '../../src/export/honest-otlp.ts';
import { createAuthority, skipWithoutOpenssl } from '../support/certificates.ts';
import type { Certificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import type { OtlpReceiver, OtlpRequest, Script } from '../support/otlp-receiver.ts';
import { hear } from '../telemetry/heard.ts';
import { chainOf, createMemoryStream, STREAM } from '../export/memory-stream.ts';
import { startScene, TIMEOUT_MS } from '../export/pump-scene.ts';
import { upTo } from '../export/scripted-exporter.ts';

const RECORDS = 12;
const BAD = 7;
const PAGE = { body: '<html>sign in</html>', headers: { 'content-type': 'text/html' } };
const PARTIAL = { body: '{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"too old"}}' };

interface Fault {
  readonly name: string;
  /** The answer to a request, which holds these records, while the fault lasts. */
  readonly script: (sequences: readonly number[], index: number) => Script;
  /** Requests until it passes by itself; Infinity: it concerns one record and stays. */
  readonly requests?: number;
  /** Delays that the pump must have kept. */
  readonly waits?: readonly number[];
  readonly alarm?: RegExp;
  readonly deadLetters?: readonly number[];
}

const has = (sequences: readonly number[]): boolean => sequences.includes(BAD);

const FAULTS: readonly Fault[] = [
  { name: '503', script: () => ({ status: 503 }), waits: [750, 1250, 2250] },
  { name: '502', script: () => ({ status: 502, ...PAGE }) },
  { name: '504', script: () => ({ status: 504 }) },
  { name: '429 without Retry-After', script: () => ({ status: 429 }), waits: [750] },
  { name: '429 with Retry-After 0', script: () => retryAfter('0'), waits: [750, 1250, 2250] },
  { name: '429 with Retry-After 60', script: () => retryAfter('60'), waits: [60_000, 60_000, 60_000] },
  { name: '429 with Retry-After nonsense', script: () => retryAfter('soon'), waits: [750, 1250, 2250] },
  { name: '429 with Retry-After absurd', script: () => retryAfter('999999999'), waits: [300_000] },
  {
    name: '400 for one record',
    script: (records) => ({ status: has(records) ? 400 : 200 }),
    requests: Infinity,
    deadLetters: [BAD],
  },
  {
    name: '422 for one record',
    script: (records) => ({ status: has(records) ? 422 : 200 }),
    requests: Infinity,
    deadLetters: [BAD],
  },
  { name: '400 for all', script: () => ({ status: 400 }), requests: 15, alarm: /set-up/, waits: [180_000] },
  {
    name: '413 for all but small batches',
    script: ({ length }) => ({ status: length > 2 ? 413 : 200 }),
    requests: Infinity,
  },
  { name: '413 for all', script: () => ({ status: 413 }), requests: 15, alarm: /too large/ },
  { name: '401', script: () => ({ status: 401 }), alarm: /OTEL_EXPORTER_OTLP_HEADERS/ },
  { name: '403', script: () => ({ status: 403 }), alarm: /OTEL_EXPORTER_OTLP_HEADERS/ },
  { name: '404', script: () => ({ status: 404 }), alarm: /not an OTLP path/ },
  { name: '500', script: () => ({ status: 500 }), alarm: /HTTP 500/ },
  {
    name: 'a redirect',
    script: () => ({ status: 307, headers: { location: '/elsewhere' } }),
    alarm: /redirect/,
  },
  { name: '200 with HTML', script: () => PAGE, alarm: /not OTLP/ },
  { name: '200 with HTML that says it is JSON', script: () => ({ body: '<html>' }), alarm: /not OTLP/ },
  {
    name: 'an answer larger than 4 MiB',
    script: () => ({ body: Buffer.alloc(5_000_000, 32) }),
    alarm: /larger than/,
  },
  { name: 'a body cut off', script: () => ({ broken: 'cut_off' }) },
  {
    name: 'a partial success',
    script: (records) => (has(records) ? PARTIAL : {}),
    requests: Infinity,
    deadLetters: [BAD],
  },
  { name: 'a partial success for a while', script: () => PARTIAL, requests: 15, alarm: /set-up/ },
  { name: 'a connection reset', script: () => ({ broken: 'reset' }) },
  { name: 'a half-closed connection', script: () => ({ broken: 'half_closed' }) },
  { name: 'garbage', script: () => ({ broken: 'garbage' }), alarm: /does not speak HTTP/ },
];

function retryAfter(value: string): Script {
  return { status: 429, headers: { 'retry-after': value } };
}

function sequencesOf({ json }: OtlpRequest): number[] {
  const records: { body: { stringValue: string } }[] = json.resourceLogs[0].scopeLogs[0].logRecords;
  return records.map(({ body }) => JSON.parse(body.stringValue)['verdict.stream.sequence']);
}

function start(t: TestContext, receiver: OtlpReceiver, endpoint: Partial<OtlpEndpoint> = {}) {
  t.after(receiver.close);
  const bodies = chainOf(RECORDS);
  const stream = createMemoryStream([]);
  const scene = startScene(t, {
    streams: [stream],
    exporter: (timers) =>
      createHonestOtlpExporter({
        endpoint: { url: `${receiver.url}/v1/logs`, timeoutMs: TIMEOUT_MS, ...endpoint },
        env: {},
        diagnostics: hear().diagnostics,
        version: '1',
        timers,
      }),
  });
  const more = (from: number, to: number): void => {
    stream.append(bodies.slice(from, to));
    scene.pump.wake();
  };
  return { ...scene, stream, bodies, more };
}

/** Sequences in the order in which they were first acknowledged. */
function arrivals(receiver: OtlpReceiver, answers: readonly Script[]): number[] {
  const accepted = receiver.requests.flatMap((request, index) => {
    const { status = 200, broken, body = '{}', hang } = answers[index] ?? {};
    return status === 200 && broken === undefined && body === '{}' && hang === undefined
      ? sequencesOf(request)
      : [];
  });
  return [...new Set(accepted)];
}

describe('after', () => {
  for (const { name, script, requests = 3, waits = [], alarm, deadLetters = [] } of FAULTS) {
    test(`${name}: nothing is lost and nothing out of order`, async (t) => {
      const receiver = await startOtlpReceiver();
      const scene = start(t, receiver);
      const answers: Script[] = [];
      // Two records arrive before the fault, so that something is known to be good.
      scene.more(0, 2);
      await scene.drained();
      const before = receiver.requests.length;
      receiver.answerWith((request, index) => {
        const answer = index - before < requests ? script(sequencesOf(request), index) : {};
        answers[index] = answer;
        return answer;
      });
      scene.more(2, RECORDS);
      await scene.drained();

      const kept = upTo(RECORDS).filter((sequence) => !deadLetters.includes(sequence));
      assert.deepEqual(arrivals(receiver, answers), kept);
      assert.deepEqual(
        scene.letters.map(({ sequence }) => sequence),
        deadLetters,
      );
      for (const { body, sequence } of scene.letters) assert.equal(body, scene.bodies[sequence - 1]);
      const waited = scene.timers.passed.filter((delayMs) => delayMs > 100);
      assert.deepEqual(waited.slice(0, waits.length), waits);
      if (alarm !== undefined) assert.match(scene.heard.text(), new RegExp(`^error .*${alarm.source}`, 'm'));
      assert.equal(/^error/m.test(scene.heard.text()), alarm !== undefined || deadLetters.length > 0);
      assert.equal(scene.pump.status().alarm, undefined);
      await scene.pump.stop(0);
      assert.equal(scene.stream.durable()?.sequence, RECORDS);
    });
  }

  test('400 for all from the very first record, nothing is set aside', async (t) => {
    const receiver = await startOtlpReceiver();
    const scene = start(t, receiver);
    const answers: Script[] = [];
    receiver.answerWith((_, index) => (answers[index] = index < 12 ? { status: 400 } : {}));
    scene.more(0, RECORDS);
    await scene.drained();
    assert.deepEqual(arrivals(receiver, answers), upTo(RECORDS));
    assert.deepEqual(scene.letters, []);
  });

  test('a hang: the request ends at its timeout and the records are sent again', async (t) => {
    const receiver = await startOtlpReceiver();
    const scene = start(t, receiver);
    const answers: Script[] = [];
    receiver.answerWith((_, index) => (answers[index] = index < 2 ? { hang: true } : {}));
    scene.more(0, RECORDS);
    for (const hangs of [1, 2]) {
      await receiver.received(hangs);
      assert.equal(scene.timers.expire(TIMEOUT_MS), 1);
    }
    await scene.drained();
    assert.deepEqual(arrivals(receiver, answers), upTo(RECORDS));
    assert.match(scene.heard.text(), /^warn .*does not answer in time/m);
  });

  test('nobody listened: the records wait and the user is told what to look at', async (t) => {
    const gone = await startOtlpReceiver();
    await gone.close();
    const receiver = await startOtlpReceiver();
    let url = `${gone.url}/v1/logs`;
    t.after(receiver.close);
    const stream = createMemoryStream(chainOf(RECORDS));
    const scene = startScene(t, {
      streams: [stream],
      // A closed port stays closed: the endpoint moves instead, when the exporter is asked for its next batch.
      exporter: (timers) => {
        const make = () =>
          createHonestOtlpExporter({
            endpoint: { url },
            env: {},
            diagnostics: hear().diagnostics,
            version: '1',
            timers,
          });
        return {
          export: (batch, done) => make().export(batch, done),
          forceFlush: async () => {},
          shutdown: async () => {},
        };
      },
    });
    await eventually('said', () => /nothing listens at/.test(scene.heard.text()));
    assert.equal(scene.pump.status().backlogRecords, RECORDS);
    url = `${receiver.url}/v1/logs`;
    await scene.drained();
    assert.deepEqual(arrivals(receiver, []), upTo(RECORDS));
  });

  test(
    'a certificate that nobody vouches for: alarm, and delivery with the right one',
    { skip: skipWithoutOpenssl() },
    async (t) => {
      const directory = mkdtempSync(join(tmpdir(), 'verdict-matrix-'));
      t.after(() => rmSync(directory, { recursive: true, force: true }));
      const read = ({ certificate, key }: Certificate) => ({
        cert: readFileSync(certificate, 'utf8'),
        key: readFileSync(key, 'utf8'),
      });
      const ours = createAuthority(directory, 'ours');
      const theirs = createAuthority(directory, 'theirs');
      const receiver = await startOtlpReceiver(read(theirs.sign('impostor')));
      const scene = start(t, receiver, { certificate: ours.certificate });
      scene.more(0, RECORDS);
      await eventually('the alarm', () =>
        /OTEL_EXPORTER_OTLP_CERTIFICATE/.test(scene.pump.status().alarm ?? ''),
      );
      assert.equal(receiver.requests.length, 0);
      receiver.present(read(ours.sign('server')));
      await scene.drained();
      assert.deepEqual(arrivals(receiver, []), upTo(RECORDS));
      assert.equal(scene.pump.status().alarm, undefined);
    },
  );
});

test('what arrives is the LogRecord of the body, under the resource and scope of its stream', async (t) => {
  const receiver = await startOtlpReceiver();
  const scene = start(t, receiver);
  scene.more(0, 2);
  await scene.drained();
  const [log] = receiver.logs();
  assert.equal(log?.body, scene.bodies[0]);
  assert.equal(log?.eventName, 'verdict.decision');
  assert.equal(log?.severityNumber, 13);
  assert.equal(log?.timeUnixNano, '1795338000123456782');
  assert.equal(log?.observedTimeUnixNano, log?.timeUnixNano);
  assert.equal(log?.traceId, '0af7651916cd43dd8448eb211c80319c');
  assert.equal(log?.attributes['verdict.stream.id'], STREAM);
  assert.deepEqual(log?.resource, {
    'service.name': 'mcp-verdict',
    'service.instance.id': 'i-1',
    roles: ['a', 'b'],
  });
  assert.deepEqual(log?.scope, { name: 'mcp-verdict', version: '1', schemaUrl: 'https://example/1' });
  assert.equal(receiver.requests[0]?.json.resourceLogs.length, 1);
});
