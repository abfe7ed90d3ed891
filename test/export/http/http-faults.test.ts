/** Everything that can be behind a URL, then recovery: nothing lost, nothing out of order, the same bytes twice at most. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { createHttpExporter } from '../../../src/export/http/http-exporter.ts';
import type { Batch } from '../../../src/export/http/http-exporter.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';
import type { OtlpRequest, Script } from '../../support/otlp-receiver.ts';
import { chainOf, createMemoryStream } from '../memory-stream.ts';
import { startScene, TIMEOUT_MS } from '../pump-scene.ts';

const BODIES = chainOf(12);
/** Requests that meet the fault. */
const FAULTY = 3;

const FAULTS: readonly (readonly [string, Script])[] = [
  ['503', { status: 503 }],
  ['429 with Retry-After', { status: 429, headers: { 'retry-after': '7' } }],
  ['401', { status: 401 }],
  ['404', { status: 404 }],
  ['500', { status: 500 }],
  ['a redirect', { status: 308, headers: { location: '/elsewhere' } }],
  ['400 for all', { status: 400 }],
  ['413 for all', { status: 413 }],
  ['a reset', { broken: 'reset' }],
  ['a half-closed connection', { broken: 'half_closed' }],
  ['garbage', { broken: 'garbage' }],
  ['an answer cut off', { broken: 'cut_off' }],
];

/** Bodies in a request, in whatever form. */
function bodiesIn({ body }: OtlpRequest, batch: Batch): string[] {
  const text = body.toString();
  if (batch === 'array') return (JSON.parse(text) as object[]).map((each) => JSON.stringify(each));
  return text.split('\n').filter(Boolean);
}

async function start(t: TestContext, batch: Batch) {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const stream = createMemoryStream([]);
  const scene = startScene(t, {
    streams: [stream],
    exporter: (timers) =>
      createHttpExporter({
        settings: {
          url: `${receiver.url}/in`,
          format: 'json',
          batch,
          headers: {},
          compression: 'none',
          timeoutMs: TIMEOUT_MS,
        },
        version: '1',
        timers,
      }),
  });
  const more = (from: number, to: number): void => {
    stream.append(BODIES.slice(from, to));
    scene.pump.wake();
  };
  return { ...scene, receiver, more };
}

for (const batch of ['array', 'lines', 'single'] as const) {
  describe(`sent as ${batch}, after`, () => {
    for (const [what, fault] of FAULTS) {
      test(`${what} all is there, in order`, async (t) => {
        const { receiver, more, drained, letters, pump } = await start(t, batch);
        // Two arrive before, so that something is known to be good.
        more(0, 2);
        await drained();
        const before = receiver.requests.length;
        const taken: OtlpRequest[] = [...receiver.requests];
        receiver.answerWith((request, index) => {
          if (index < before + FAULTY) return fault;
          taken.push(request);
          return {};
        });
        more(2, BODIES.length);
        await drained();
        assert.ok(receiver.requests.length > before + FAULTY);
        assert.deepEqual(letters, []);
        assert.equal(pump.status().alarm, undefined);
        const arrived = taken.flatMap((request) => bodiesIn(request, batch));
        const first = arrived.filter((body, index) => arrived.indexOf(body) === index);
        assert.deepEqual(first, batch === 'array' ? BODIES.map(reparsed) : BODIES);
      });
    }

    test('a time without any answer all is there', async (t) => {
      const { receiver, more, drained, timers } = await start(t, batch);
      receiver.answerWith((_, index) => (index === 0 ? { hang: true } : {}));
      more(0, BODIES.length);
      await receiver.received(1);
      assert.equal(timers.expire(TIMEOUT_MS), 1);
      await drained();
      const arrived = receiver.requests.slice(1).flatMap((request) => bodiesIn(request, batch));
      assert.deepEqual(arrived, batch === 'array' ? BODIES.map(reparsed) : BODIES);
    });
  });
}

function reparsed(body: string): string {
  return JSON.stringify(JSON.parse(body));
}
