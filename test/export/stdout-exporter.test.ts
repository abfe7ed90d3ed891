import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ExportResultCode } from '@opentelemetry/core';
import { DeliveryError } from '../../src/export/acknowledgement.ts';
import { createStdoutExporter, descriptorOutput } from '../../src/export/stdout-exporter.ts';
import type { Output } from '../../src/export/stdout-exporter.ts';
import { WATCHDOG_TIMEOUTS } from '../../src/export/watchdog.ts';
import { createJumpingTimers } from './jumping-timers.ts';
import { chainOf } from './memory-stream.ts';
import { send } from './records.ts';

const BODIES = chainOf(3);
const [A = '', B = '', C = ''] = BODIES;

/** An output that takes what it is told to take. */
function scripted(take: (bytes: string, call: number) => Promise<void> | void) {
  const written: string[] = [];
  let opened = 0;
  const open = (): Output => {
    opened += 1;
    return {
      async write(bytes) {
        written.push(Buffer.from(bytes).toString());
        await take(Buffer.from(bytes).toString(), written.length - 1);
      },
      close: () => {},
    };
  };
  return {
    exporter: createStdoutExporter({ settings: { format: 'json' }, open }),
    written,
    opened: () => opened,
  };
}

describe('the stdout exporter', () => {
  test('writes one record a line and acknowledges when the system has it', async () => {
    const { promise: taken, resolve: take } = Promise.withResolvers<void>();
    const { exporter, written } = scripted(() => taken);
    let done = false;
    const sending = send(exporter, [A, B]).then(({ code }) => {
      done = true;
      assert.equal(code, ExportResultCode.SUCCESS);
    });
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.equal(done, false);
    take();
    await sending;
    assert.deepEqual(written, [`${A}\n${B}\n`]);
  });

  test('does not spoil a line after one that was cut off', async () => {
    const { exporter, written, opened } = scripted((_, call) => {
      if (call === 0) throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    });
    const { error } = await send(exporter, [A]);
    assert.ok(error instanceof DeliveryError);
    assert.match(error.message, /nobody reads stdout/);
    await send(exporter, [A, B]);
    await send(exporter, [C]);
    assert.deepEqual(written, [`${A}\n`, `\n${A}\n${B}\n`, `${C}\n`]);
    assert.equal(opened(), 2);
  });

  test('goes on where a descriptor stopped that takes no more for now, and tells what it will never take', async () => {
    const taken: string[] = [];
    const timers = createJumpingTimers();
    const output = descriptorOutput(async (bytes) => {
      if (taken.length % 2 === 1) {
        taken.push('');
        throw Object.assign(new Error('EAGAIN'), { code: 'EAGAIN' });
      }
      taken.push(Buffer.from(bytes.subarray(0, 3)).toString());
      return Math.min(3, bytes.length);
    }, timers);
    await output.write(Buffer.from('a line\n'));
    assert.equal(taken.join(''), 'a line\n');
    assert.deepEqual(timers.passed, [20, 20]);
    const broken = descriptorOutput(() => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })));
    await assert.rejects(broken.write(Buffer.from('a')), /EIO/);
  });

  test('waits for a reader longer than any watchdog, which would write into the middle of a line', () => {
    const { exporter } = scripted(() => {});
    const watchdogMs = exporter.timeoutMs * WATCHDOG_TIMEOUTS;
    assert.ok(watchdogMs > 20 * 86_400_000);
    assert.ok(watchdogMs < 2 ** 31, 'a timer that is longer runs out at once');
  });
});
