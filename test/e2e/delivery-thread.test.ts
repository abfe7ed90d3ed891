/** The real delivery thread over a real spool, to real receivers. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { VerdictError } from '../../src/errors.ts';
import { createDelivery, EXPORTERS_MAX, RESTART_MS } from '../../src/export/delivery.ts';
import type { DeliveryOptions, DeliveryThread } from '../../src/export/delivery.ts';
import type { ExporterPlan, FromThread, ToThread } from '../../src/export/delivery-message.ts';
import type { DeadLetter } from '../../src/export/dead-letter.ts';
import { eventually } from '../support/eventually.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import type { OtlpReceiver } from '../support/otlp-receiver.ts';
import { hear } from '../telemetry/heard.ts';
import { createJumpingTimers } from '../export/jumping-timers.ts';
import { upTo } from '../export/scripted-exporter.ts';
import { makeSpool, writeStream } from '../export/spool-scene.ts';

const DEADLINE_MS = 5000;

function plan(name: string, url: string): ExporterPlan {
  return { name, kind: 'otlp', endpoint: { url }, required: true };
}

function deliver(t: TestContext, directory: string, given: Partial<DeliveryOptions>) {
  const heard = hear();
  const letters: DeadLetter[] = [];
  const acknowledged = new Map<string, number>();
  const finished: string[] = [];
  const delivery = createDelivery({
    directory,
    exporters: [],
    version: '1',
    diagnostics: heard.diagnostics,
    onDamage: async () => {},
    onDeadLetter: async (letter) => void letters.push(letter),
    onAcknowledged: (exporter, stream, sequence) => acknowledged.set(`${exporter} ${stream}`, sequence),
    onFinished: (exporter, stream) => finished.push(`${exporter} ${stream}`),
    ...given,
  });
  t.after(() => delivery.stop(0));
  return { delivery, heard, letters, acknowledged, finished };
}

async function receive(t: TestContext): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  return receiver;
}

function sequences(receiver: OtlpReceiver): number[] {
  return receiver.logs().map(({ attributes }) => Number(attributes['verdict.stream.sequence']));
}

describe('the delivery thread', () => {
  test('delivers what is in the spool and what comes later, and tells how far it is', async (t) => {
    const directory = makeSpool(t);
    const writer = writeStream(t, directory);
    const receiver = await receive(t);
    const { port1, port2 } = new MessageChannel();
    t.after(() => port2.close());
    const scene = deliver(t, directory, {
      exporters: [plan('otlp', receiver.url)],
      durablePort: () => port1,
    });
    writer.commit(9);
    scene.delivery.announce(writer.announcement());
    await eventually('the first ten', () => sequences(receiver).length === 10);
    // Wherever a message comes from, a thread has no origin (the rule is for windows).
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    port2.postMessage(writer.commit(1500));
    await eventually('all', () => sequences(receiver).length === 1510);
    assert.deepEqual(sequences(receiver), upTo(1510));
    await eventually('acknowledged', () => scene.acknowledged.get(`otlp ${writer.stream}`) === 1510);
    await eventually('status', () => scene.delivery.status()['otlp']?.delivered === 1510);
    assert.deepEqual(await scene.delivery.stop(DEADLINE_MS), { waiting: 0, exporters: { otlp: 0 } });
  });

  test('goes on where the run before was acknowledged', async (t) => {
    const directory = makeSpool(t);
    const writer = writeStream(t, directory);
    const receiver = await receive(t);
    for (const count of [3, 4]) {
      writer.commit(count);
      const { delivery } = deliver(t, directory, { exporters: [plan('otlp', receiver.url)] });
      delivery.announce(writer.announcement());
      await delivery.stop(DEADLINE_MS);
    }
    assert.deepEqual(sequences(receiver), upTo(8));
  });

  test('an exporter that is dead delays no other, and says what waits', async (t) => {
    const directory = makeSpool(t);
    const writer = writeStream(t, directory);
    const receiver = await receive(t);
    const hanging = await receive(t);
    hanging.answerWith(() => ({ hang: true }));
    const scene = deliver(t, directory, {
      exporters: [plan('dead', hanging.url), plan('alive', receiver.url)],
    });
    writer.commit(4);
    scene.delivery.announce(writer.announcement());
    await eventually('delivered', () => sequences(receiver).length === 5);
    await hanging.received(1);
    const { waiting, exporters } = await scene.delivery.stop(0);
    assert.deepEqual(exporters, { dead: 5, alive: 0 });
    assert.equal(waiting, 5);
  });

  test('writes to a file beside a receiver that hangs, and opens it anew when it is told to', async (t) => {
    const directory = makeSpool(t);
    const writer = writeStream(t, directory);
    const hanging = await receive(t);
    hanging.answerWith(() => ({ hang: true }));
    const path = join(directory, 'decisions.jsonl');
    const file: ExporterPlan = { name: 'file', kind: 'file', required: true, file: { path, format: 'json' } };
    const scene = deliver(t, directory, { exporters: [plan('dead', hanging.url), file] });
    const { delivery, acknowledged } = scene;
    const written = (at: string): number[] =>
      readFileSync(at, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(JSON.parse(line)['verdict.stream.sequence']));
    writer.commit(599);
    delivery.announce(writer.announcement());
    await eventually('all', () => acknowledged.get(`file ${writer.stream}`) === 600);
    renameSync(path, `${path}.1`);
    delivery.reopen();
    delivery.advance(writer.commit(3));
    await eventually('the new file', () => existsSync(path) && written(path).length === 3);
    await delivery.stop(0);
    assert.deepEqual([...written(`${path}.1`), ...written(path)], upTo(603));
  });

  test('sets a bad record aside in the spool and asks for its gap', async (t) => {
    const directory = makeSpool(t);
    const writer = writeStream(t, directory);
    const receiver = await receive(t);
    receiver.answerWith(({ body }) => (body.includes('poison') ? { status: 400 } : {}));
    const scene = deliver(t, directory, { exporters: [plan('otlp', receiver.url)] });
    writer.commit(1, 'poison');
    writer.commit(3);
    scene.delivery.announce(writer.announcement());
    await eventually('the letter', () => scene.letters.length === 1);
    await scene.delivery.stop(DEADLINE_MS);
    assert.equal(scene.letters[0]?.sequence, 2);
    assert.deepEqual(readdirSync(join(directory, 'dead-letter')), [`otlp-${writer.stream}-2.json`]);
    assert.match(scene.heard.text(), /error exporter otlp: record 2 is set aside/);
  });

  test('proves a bad record with the start of the stream when nothing was delivered in this run', async (t) => {
    const directory = makeSpool(t);
    const writer = writeStream(t, directory);
    const receiver = await receive(t);
    receiver.answerWith(({ body }) => (body.includes('poison') ? { status: 400 } : {}));
    const before = deliver(t, directory, { exporters: [plan('otlp', receiver.url)] });
    before.delivery.announce(writer.announcement());
    await before.delivery.stop(DEADLINE_MS);
    assert.deepEqual(sequences(receiver), [1]);
    writer.commit(1, 'poison');
    const scene = deliver(t, directory, { exporters: [plan('otlp', receiver.url)] });
    scene.delivery.announce(writer.announcement());
    await eventually('the letter', () => scene.letters.length === 1);
    assert.equal(scene.letters[0]?.sequence, 2);
    assert.deepEqual(sequences(receiver), [1, 2, 1, 2]);
  });

  test('lets go of a stream that is over when all of it is acknowledged', async (t) => {
    const directory = makeSpool(t);
    const old = writeStream(t, directory);
    const receiver = await receive(t);
    const scene = deliver(t, directory, { exporters: [plan('otlp', receiver.url)] });
    old.commit(2);
    scene.delivery.announce(old.announcement());
    const { stream, sequence, hash } = old.position();
    const writer = writeStream(t, directory, { stream, sequence, hash });
    scene.delivery.ended({ stream, sequence, hash });
    scene.delivery.announce(writer.announcement());
    await eventually('finished', () => scene.finished.length === 1);
    assert.deepEqual(scene.finished, [`otlp ${stream}`]);
    await eventually('the successor', () => sequences(receiver).length === 4);
    assert.deepEqual(sequences(receiver), [1, 2, 3, 1]);
    assert.ok(existsSync(join(directory, stream, 'cursor.otlp')));
  });

  test('is not started without an exporter', async (t) => {
    const scene = deliver(t, '/nowhere', {
      startThread: () => assert.fail('started'),
    });
    assert.deepEqual(await scene.delivery.stop(0), { waiting: 0, exporters: {} });
  });
});

describe('a wrong plan is refused before anything is started', () => {
  const url = 'http://collector:4318/v1/logs';
  for (const [name, exporters] of [
    ['a name that is no file name', [plan('../x', url)]],
    ['a name that is too long', [plan('x'.repeat(65), url)]],
    ['a name that stands twice', [plan('a', url), plan('a', url)]],
    ['an endpoint that is no URL', [plan('a', 'collector')]],
    [
      'a file in a directory that is not there',
      [{ name: 'f', kind: 'file', required: true, file: { path: '/nowhere/f.jsonl', format: 'json' } }],
    ],
    ['too many', Array.from({ length: EXPORTERS_MAX + 1 }, (_, index) => plan(`e${index}`, url))],
  ] as const) {
    test(name, (t) => {
      assert.throws(
        () => deliver(t, '/nowhere', { exporters, startThread: () => assert.fail('started') }),
        (error) => error instanceof VerdictError && error.code === 'config_invalid',
      );
    });
  }
});

describe('a thread that dies', () => {
  function fakeThread() {
    const heard: { message?: (message: FromThread) => void; exit?: () => void } = {};
    const posted: ToThread[] = [];
    const thread: DeliveryThread = {
      post(message) {
        posted.push(message);
        if (message.kind === 'stop') heard.message?.({ kind: 'stopped', exporters: {} });
      },
      onMessage: (next) => void (heard.message = next),
      onError: () => {},
      onExit: (next) => void (heard.exit = next),
      terminate: async () => heard.exit?.(),
    };
    return {
      thread,
      posted,
      say: (message: FromThread) => heard.message?.(message),
      die: () => heard.exit?.(),
    };
  }

  test('is started again and told of each stream as it is now', async (t) => {
    const directory = makeSpool(t);
    const writer = writeStream(t, directory);
    const threads = [fakeThread(), fakeThread()];
    let started = 0;
    const timers = createJumpingTimers(RESTART_MS);
    const scene = deliver(t, directory, {
      exporters: [plan('otlp', 'http://collector:4318')],
      timers,
      startThread: () => threads[started++]!.thread,
    });
    const announced = writer.announcement();
    scene.delivery.announce(announced);
    const later = writer.commit(2);
    scene.delivery.advance(later);
    threads[0]?.die();
    assert.equal(timers.expire(RESTART_MS), 1);
    assert.deepEqual(threads[1]?.posted, [{ kind: 'stream', stream: { ...announced, durable: later } }]);
    assert.match(scene.heard.text(), /the delivery thread ended and is started again in 5 s/);
  });

  test('a hole that several exporters find is put on record once', async (t) => {
    const thread = fakeThread();
    let recorded = 0;
    deliver(t, '/nowhere', {
      exporters: [plan('a', 'http://collector'), plan('b', 'http://collector')],
      startThread: () => thread.thread,
      onDamage: async () => {
        recorded += 1;
        if (recorded === 1) throw new Error('full');
      },
    });
    const damage = { stream: 's', from: 1, to: 2, lastHash: undefined };
    for (const id of [1, 2, 3]) {
      thread.say({ kind: 'damage', id, damage });
      await new Promise(setImmediate);
    }
    assert.equal(recorded, 2);
    assert.deepEqual(thread.posted, [
      { kind: 'answer', id: 1, error: 'Error: full' },
      { kind: 'answer', id: 2 },
      { kind: 'answer', id: 3 },
    ]);
  });
});
