/** How a pump delivers, fails, notes how far it is, and stops. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import { FLUSH_RETRY_MS } from '../../src/export/cursor-schedule.ts';
import { eventually } from '../support/eventually.ts';
import { chainOf, createMemoryStream, STREAM } from './memory-stream.ts';
import { DEADLINE_MS, startScene, WATCHDOG_MS } from './pump-scene.ts';
import { DOWN, fail, OVERLOADED, scripted, SUCCESS, upTo } from './scripted-exporter.ts';

describe('the ordinary way', () => {
  test('all records arrive once, in order, in batches no larger than the limit', async (t) => {
    const { exporter, calls, accepted } = scripted(() => SUCCESS);
    const scene = startScene(t, {
      streams: [createMemoryStream(chainOf(25))],
      exporter: () => exporter,
      recordsMax: 10,
    });
    await scene.drained();
    assert.deepEqual(accepted, upTo(25));
    assert.deepEqual(
      calls.map(({ length }) => length),
      [10, 10, 5],
    );
    assert.equal(scene.pump.status().delivered, 25);
  });

  test('the bytes of a batch are limited too', async (t) => {
    const bodies = chainOf(6);
    const { exporter, calls } = scripted(() => SUCCESS);
    const bytesMax = bodies[0]!.length * 2 + 10;
    const scene = startScene(t, {
      streams: [createMemoryStream(bodies)],
      exporter: () => exporter,
      bytesMax,
    });
    await scene.drained();
    assert.deepEqual(
      calls.map(({ length }) => length),
      [2, 2, 2],
    );
  });

  test('what becomes durable later is delivered when the pump is woken', async (t) => {
    const bodies = chainOf(3);
    const stream = createMemoryStream(bodies.slice(0, 1));
    const { exporter, accepted } = scripted(() => SUCCESS);
    const scene = startScene(t, { streams: [stream], exporter: () => exporter });
    await scene.drained();
    stream.append(bodies.slice(1));
    scene.pump.wake();
    await scene.drained();
    assert.deepEqual(accepted, [1, 2, 3]);
  });

  test('a trickle is gathered: a small batch is followed by a rest', async (t) => {
    const bodies = chainOf(2);
    const stream = createMemoryStream(bodies.slice(0, 1));
    const scene = startScene(t, { streams: [stream], exporter: () => scripted(() => SUCCESS).exporter });
    await scene.drained();
    await eventually('the rest is over', () => scene.timers.passed.includes(100));
  });

  test('the older stream comes first, and one that is over is let go of with a durable cursor', async (t) => {
    const other = '019aaaaa-0000-4000-8000-0000000000bb';
    const old = createMemoryStream(chainOf(3), STREAM);
    const living = createMemoryStream(chainOf(2, other), other);
    old.end();
    const { exporter, batches } = scripted(() => SUCCESS);
    const scene = startScene(t, { streams: [old, living], exporter: () => exporter });
    await scene.drained();
    await eventually('the old stream is finished', () => scene.source.done.length === 1);
    assert.deepEqual(scene.source.done, [STREAM]);
    assert.equal(old.durable()?.sequence, 3);
    const order = batches.flat().map(({ attributes }) => attributes['verdict.stream.id']);
    assert.deepEqual(order, [STREAM, STREAM, STREAM, other, other]);
  });

  test('a retry sends the very same LogRecords', async (t) => {
    const { exporter, batches } = scripted((_, call) => (call === 0 ? DOWN : SUCCESS));
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(2))], exporter: () => exporter });
    await scene.drained();
    assert.deepEqual(batches[0], batches[1]);
    assert.equal(batches[0]?.[0]?.resource, batches[1]?.[1]?.resource);
    assert.equal(batches[0]?.[0]?.instrumentationScope, batches[1]?.[1]?.instrumentationScope);
  });
});

describe('cursors', () => {
  test('become durable without a stop, and only then is the acknowledgement told', async (t) => {
    const stream = createMemoryStream(chainOf(4));
    const scene = startScene(t, { streams: [stream], exporter: () => scripted(() => SUCCESS).exporter });
    await eventually('durable', () => scene.acknowledged.length > 0);
    assert.deepEqual(scene.acknowledged, [[STREAM, 4]]);
    assert.deepEqual(stream.durable(), { sequence: 4, segment: 1, offset: 40 });
  });

  test('never stand behind what has been acknowledged', async (t) => {
    const stream = createMemoryStream(chainOf(20));
    const { exporter, accepted } = scripted((_, call) => (call < 2 ? SUCCESS : DOWN));
    const scene = startScene(t, { streams: [stream], exporter: () => exporter, recordsMax: 5 });
    await eventually('failures', () => scene.pump.status().retried > 3);
    assert.equal(stream.durable()?.sequence, accepted.length);
    assert.equal(scene.pump.status().backlogRecords, 10);
  });

  test('that cannot be written hold up nothing, and nothing is told as acknowledged', async (t) => {
    const stream = createMemoryStream(chainOf(4));
    stream.refuseFlush(new Error('ENOSPC'));
    const scene = startScene(t, { streams: [stream], exporter: () => scripted(() => SUCCESS).exporter });
    await scene.drained();
    await eventually('said', () => /cursor cannot be written: Error: ENOSPC/.test(scene.heard.text()));
    assert.deepEqual(scene.acknowledged, []);
    stream.refuseFlush(undefined);
    await scene.pump.stop(DEADLINE_MS);
    assert.deepEqual(scene.acknowledged, [[STREAM, 4]]);
  });
});

test('a stream whose cursor cannot be written is not let go of until it can', async (t) => {
  const stream = createMemoryStream(chainOf(4));
  stream.end();
  stream.refuseFlush(new Error('ENOSPC'));
  const scene = startScene(t, { streams: [stream], exporter: () => scripted(() => SUCCESS).exporter });
  await scene.drained();
  await eventually('tried again', () => scene.timers.passed.includes(FLUSH_RETRY_MS));
  assert.deepEqual(scene.source.done, []);
  stream.refuseFlush(undefined);
  await eventually('let go of', () => scene.source.done.length > 0);
  assert.deepEqual(scene.acknowledged, [[STREAM, 4]]);
  assert.deepEqual(stream.durable()?.sequence, 4);
});

describe('failure', () => {
  test('is followed by the same records, for ever, at growing distances', async (t) => {
    const { exporter, calls, accepted } = scripted((_, call) => (call < 9 ? DOWN : SUCCESS));
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(3))], exporter: () => exporter });
    await scene.drained();
    assert.deepEqual(
      calls,
      Array.from({ length: 10 }, () => [1, 2, 3]),
    );
    assert.deepEqual(accepted, [1, 2, 3]);
    const waits = scene.timers.passed.filter((delayMs) => delayMs > 100);
    assert.deepEqual(waits, [750, 1250, 2250, 4250, 8250, 15_250, 15_250, 15_250, 15_250]);
    assert.match(scene.heard.text(), /warn exporter otlp: records wait in the spool: down/);
    assert.match(scene.heard.text(), /info exporter otlp delivers again/);
  });

  test('with a time to wait keeps to that time', async (t) => {
    const { exporter } = scripted((_, call) => (call === 0 ? OVERLOADED : SUCCESS));
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(1))], exporter: () => exporter });
    await scene.drained();
    assert.ok(scene.timers.passed.includes(60_000));
  });

  test('that somebody must see to is an alarm until something is taken again', async (t) => {
    let works = false;
    const { exporter } = scripted(() =>
      works ? SUCCESS : fail({ kind: 'retry', text: 'HTTP 401', alarm: true }),
    );
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(1))], exporter: () => exporter });
    await eventually('alarm', () => scene.pump.status().alarm === 'HTTP 401');
    assert.match(scene.heard.text(), /^error exporter otlp: .*HTTP 401/m);
    works = true;
    await scene.drained();
    assert.equal(scene.pump.status().alarm, undefined);
  });

  test('of forceFlush after a success counts as a failure: what was buffered is not delivered', async (t) => {
    let flushes = 0;
    const { exporter, calls } = scripted(() => SUCCESS);
    const buffering: LogRecordExporter = {
      ...exporter,
      forceFlush: async () => {
        flushes += 1;
        if (flushes === 1) throw new Error('EIO');
      },
    };
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(2))], exporter: () => buffering });
    await scene.drained();
    assert.deepEqual(calls, [
      [1, 2],
      [1, 2],
    ]);
  });

  test('by an exception is a failure like any other', async (t) => {
    let calls = 0;
    const { exporter, accepted } = scripted(() => SUCCESS);
    const throwing: LogRecordExporter = {
      ...exporter,
      export(batch, done) {
        calls += 1;
        if (calls === 1) throw new RangeError('too deep');
        exporter.export(batch, done);
      },
    };
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(2))], exporter: () => throwing });
    await scene.drained();
    assert.deepEqual(accepted, [1, 2]);
    assert.deepEqual(scene.letters, []);
  });

  test('to call back ends with a new exporter and the same records', async (t) => {
    let made = 0;
    const { exporter, calls } = scripted((_, call) => (call === 0 ? undefined : SUCCESS));
    const scene = startScene(t, {
      streams: [createMemoryStream(chainOf(2))],
      exporter: () => {
        made += 1;
        return exporter;
      },
    });
    await eventually('sent', () => calls.length === 1);
    assert.equal(scene.timers.expire(WATCHDOG_MS), 1);
    await scene.drained();
    assert.equal(made, 2);
    assert.deepEqual(calls, [
      [1, 2],
      [1, 2],
    ]);
    assert.match(scene.heard.text(), /has not called back within 20 s and is started anew/);
  });

  test('to read the spool is said and tried again', async (t) => {
    const stream = createMemoryStream(chainOf(2));
    let reads = 0;
    const { exporter, accepted } = scripted(() => SUCCESS);
    const reader = {
      ...stream.reader,
      next(recordsMax: number, bytesMax: number) {
        reads += 1;
        if (reads < 3) throw new Error('EIO');
        return stream.reader.next(recordsMax, bytesMax);
      },
    };
    const scene = startScene(t, { streams: [{ ...stream, reader }], exporter: () => exporter });
    await scene.drained();
    assert.deepEqual(accepted, [1, 2]);
    assert.match(scene.heard.text(), /the spool cannot be read: Error: EIO/);
  });

  test('to read one stream holds up no other, and stays an alarm', async (t) => {
    const broken = createMemoryStream(chainOf(2));
    let isBroken = true;
    const reader = {
      ...broken.reader,
      next(recordsMax: number, bytesMax: number) {
        if (isBroken) throw new Error('EIO');
        return broken.reader.next(recordsMax, bytesMax);
      },
    };
    const other = '019bbbbb-0000-4000-8000-0000000000bb';
    const { exporter, accepted } = scripted(() => SUCCESS);
    const scene = startScene(t, {
      streams: [{ ...broken, reader }, createMemoryStream(chainOf(3, other), other)],
      exporter: () => exporter,
    });
    await eventually('the other stream is delivered', () => accepted.length === 3);
    assert.deepEqual(accepted, [1, 2, 3]);
    assert.match(scene.pump.status().alarm ?? '', /cannot be read: Error: EIO/);
    isBroken = false;
    await scene.drained();
    assert.deepEqual(accepted, [1, 2, 3, 1, 2]);
    assert.equal(scene.pump.status().alarm, undefined);
  });
});

describe('damage', () => {
  const DAMAGE = { stream: STREAM, from: 1, to: 4, lastHash: undefined };

  test('is on record before what lies behind it is delivered', async (t) => {
    const stream = createMemoryStream(chainOf(2));
    stream.damage(DAMAGE);
    const order: string[] = [];
    const { exporter } = scripted(() => {
      order.push('delivered');
      return SUCCESS;
    });
    let tries = 0;
    const scene = startScene(t, {
      streams: [stream],
      exporter: () => exporter,
      onDamage: async () => {
        tries += 1;
        if (tries === 1) throw new Error('the disk is full');
        order.push('recorded');
      },
    });
    await scene.drained();
    assert.deepEqual(order, ['recorded', 'delivered']);
    assert.match(scene.heard.text(), /a gap cannot be recorded: Error: the disk is full/);
  });

  test('that no record follows is passed once it is on record', async (t) => {
    const stream = createMemoryStream([]);
    stream.damage(DAMAGE);
    const end = { sequence: 4, segment: 1, offset: 40 };
    const reader = { ...stream.reader, position: () => end };
    const { exporter, calls } = scripted(() => SUCCESS);
    const scene = startScene(t, { streams: [{ ...stream, reader }], exporter: () => exporter });
    await eventually('durable', () => scene.acknowledged.length === 1);
    assert.deepEqual(scene.damages, [DAMAGE]);
    assert.deepEqual(stream.durable(), end);
    assert.deepEqual(calls, []);
  });
});

describe('stopping', () => {
  test('delivers what waits, then lets go with durable cursors', async (t) => {
    const stream = createMemoryStream(chainOf(30));
    const { exporter, accepted } = scripted(() => SUCCESS);
    const scene = startScene(t, { streams: [stream], exporter: () => exporter, recordsMax: 4 });
    await scene.pump.stop(DEADLINE_MS);
    assert.deepEqual(accepted, upTo(30));
    assert.equal(stream.durable()?.sequence, 30);
  });

  test('does not wait for an exporter that fails: the rest is in the spool', async (t) => {
    const stream = createMemoryStream(chainOf(3));
    const { exporter, calls } = scripted(() => OVERLOADED);
    const scene = startScene(t, { streams: [stream], exporter: () => exporter });
    await eventually('sent', () => calls.length > 0);
    await scene.pump.stop(DEADLINE_MS);
    assert.equal(scene.pump.status().backlogRecords, 3);
  });

  test('ends at the deadline when an exporter hangs', async (t) => {
    const { exporter, calls } = scripted(() => undefined);
    const scene = startScene(t, { streams: [createMemoryStream(chainOf(3))], exporter: () => exporter });
    await eventually('sent', () => calls.length === 1);
    const stopped = scene.pump.stop(DEADLINE_MS);
    scene.timers.expire(DEADLINE_MS);
    await stopped;
    assert.equal(scene.pump.status().backlogRecords, 3);
  });
});
