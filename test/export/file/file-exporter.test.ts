import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import { VerdictError } from '../../../src/errors.ts';
import { DeliveryError } from '../../../src/export/acknowledgement.ts';
import { TORN_BYTES_MAX } from '../../../src/export/file/append.ts';
import { createVerifier } from '../../../src/event/verify.ts';
import { chainOf } from '../memory-stream.ts';
import { recordsOf, send } from '../records.ts';
import { linesOf, startFileScene, systemError } from './file-scene.ts';

const BODIES = chainOf(9);
const [A = '', B = '', C = ''] = BODIES;

function assertSent(result: ExportResult): void {
  assert.equal(result.code, ExportResultCode.SUCCESS, result.error?.message);
}

function assertWaits(result: ExportResult, text: RegExp): void {
  assert.equal(result.code, ExportResultCode.FAILED);
  assert.ok(result.error instanceof DeliveryError);
  assert.equal(result.error.failure.kind, 'retry');
  assert.match(result.error.message, text);
}

describe('the file exporter', () => {
  test('appends one body a line to a file that only its owner may read, and it proves the chain', async (t) => {
    const { exporter, path, lines } = startFileScene(t);
    assertSent(await send(exporter, [A, B]));
    assertSent(await send(exporter, [C]));
    assert.equal(readFileSync(path, 'utf8'), `${A}\n${B}\n${C}\n`);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const verifier = createVerifier({ expect: { to: 3 } });
    for (const line of lines()) verifier.add(line);
    assert.equal(verifier.report().ok, true);
  });

  test('acknowledges nothing before it is on stable storage', async (t) => {
    const { exporter, faults } = startFileScene(t);
    const { promise: synced, resolve: sync } = Promise.withResolvers<void>();
    faults.sync = () => synced;
    let done = false;
    const sending = send(exporter, [A]).then(() => (done = true));
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    assert.equal(done, false);
    sync();
    await sending;
  });

  test('cuts off a last line that has no end, which nobody was told of', async (t) => {
    const { exporter, path } = startFileScene(t);
    writeFileSync(path, `${A}\n${B.slice(0, 40)}`);
    assertSent(await send(exporter, [B]));
    assert.deepEqual(linesOf(path), [A, B]);
  });

  test('cuts off a first line that has no end', async (t) => {
    const { exporter, path } = startFileScene(t);
    writeFileSync(path, A.slice(0, 40));
    assertSent(await send(exporter, [A]));
    assert.deepEqual(linesOf(path), [A]);
  });

  test('leaves alone what does not look like a log file', async (t) => {
    const { exporter, path } = startFileScene(t);
    writeFileSync(path, '');
    truncateSync(path, TORN_BYTES_MAX + 1024 * 1024);
    assertWaits(await send(exporter, [A]), /no log file of ours/);
    assert.equal(statSync(path).size, TORN_BYTES_MAX + 1024 * 1024);
  });

  test('takes a write that the disk cuts short as one to go on with', async (t) => {
    const { exporter, path, faults } = startFileScene(t);
    faults.append = (file, bytes) => file.append(bytes.subarray(0, Math.min(100, bytes.length)));
    assertSent(await send(exporter, [A, B]));
    assert.deepEqual(linesOf(path), [A, B]);
  });

  for (const code of ['ENOSPC', 'EDQUOT', 'EIO']) {
    test(`${code} in the middle of a batch leaves no part of it, and the batch waits`, async (t) => {
      const { exporter, path, faults } = startFileScene(t);
      assertSent(await send(exporter, [A]));
      let left = 50;
      faults.append = async (file, bytes) => {
        const written = left === 0 ? 0 : await file.append(bytes.subarray(0, left));
        left = 0;
        if (written === 0) throw systemError(code);
        return written;
      };
      assertWaits(await send(exporter, [B, C]), new RegExp(code));
      assert.deepEqual(linesOf(path), [A]);
      delete faults.append;
      assertSent(await send(exporter, [B, C]));
      assert.deepEqual(linesOf(path), [A, B, C]);
    });
  }

  test('a part of a batch that cannot even be taken back is cut off at the next attempt', async (t) => {
    const { exporter, path, faults } = startFileScene(t);
    faults.append = async (file, bytes) => {
      await file.append(bytes.subarray(0, Buffer.byteLength(A) + 30));
      throw systemError('EIO');
    };
    faults.truncate = () => {
      throw systemError('EIO');
    };
    assertWaits(await send(exporter, [A, B]), /EIO/);
    assert.equal(readFileSync(path, 'utf8'), `${A}\n${B.slice(0, 29)}`);
    delete faults.append;
    delete faults.truncate;
    assertSent(await send(exporter, [A, B]));
    assert.deepEqual(linesOf(path), [A, A, B], 'one comes twice, with its id; none is spoilt');
  });

  test('a sync that fails acknowledges nothing', async (t) => {
    const { exporter, path, faults } = startFileScene(t);
    faults.sync = () => {
      throw systemError('EIO');
    };
    assertWaits(await send(exporter, [A]), /EIO/);
    delete faults.sync;
    assertSent(await send(exporter, [A]));
    assert.deepEqual(linesOf(path), [A]);
  });
});

describe('a file that is taken away', () => {
  test('while nothing is written is made anew, and what was acknowledged is not sent again', async (t) => {
    const { exporter, path } = startFileScene(t);
    assertSent(await send(exporter, [A]));
    unlinkSync(path);
    assertSent(await send(exporter, [B]));
    assert.deepEqual(linesOf(path), [B]);
  });

  test('between write and acknowledgement gets the batch in its new place', async (t) => {
    const { exporter, path, faults } = startFileScene(t);
    let first = true;
    faults.sync = () => {
      if (first) unlinkSync(path);
      first = false;
    };
    assertSent(await send(exporter, [A, B]));
    assert.deepEqual(linesOf(path), [A, B]);
  });

  test('by logrotate goes on in the new one', async (t) => {
    const { exporter, path } = startFileScene(t);
    assertSent(await send(exporter, [A]));
    renameSync(path, `${path}.1`);
    writeFileSync(path, '');
    assertSent(await send(exporter, [B]));
    assert.deepEqual([linesOf(`${path}.1`), linesOf(path)], [[A], [B]]);
  });

  test('by truncation goes on at its new end, and a batch that was cut is written again', async (t) => {
    const { exporter, path, faults } = startFileScene(t);
    assertSent(await send(exporter, [A]));
    truncateSync(path, 0);
    assertSent(await send(exporter, [B]));
    assert.deepEqual(linesOf(path), [B]);
    let first = true;
    faults.sync = () => {
      if (first) truncateSync(path, 0);
      first = false;
    };
    assertSent(await send(exporter, [C]));
    assert.deepEqual(linesOf(path), [C]);
  });

  test('again and again waits, and says why', async (t) => {
    const { exporter, path, faults } = startFileScene(t);
    faults.sync = () => unlinkSync(path);
    assertWaits(await send(exporter, [A]), /taken away each time/);
  });

  test('with its directory waits until that is there again', async (t) => {
    const { exporter, path, directory } = startFileScene(t);
    assertSent(await send(exporter, [A]));
    rmSync(directory, { recursive: true });
    assertWaits(await send(exporter, [B]), /its directory is gone/);
    mkdirSync(directory);
    assertSent(await send(exporter, [B]));
    assert.deepEqual(linesOf(path), [B]);
  });

  test('SIGHUPs by the hundred, amid batches, lose nothing and leave one file open', async (t) => {
    const { exporter, path, openFiles } = startFileScene(t);
    const sending: Promise<ExportResult>[] = [];
    const reopening: Promise<void>[] = [];
    for (const body of BODIES) {
      sending.push(send(exporter, [body]));
      for (let count = 0; count < 50; count += 1) reopening.push(exporter.reopen!());
    }
    for (const result of await Promise.all(sending)) assertSent(result);
    await Promise.all(reopening);
    assert.deepEqual(linesOf(path), BODIES);
    assert.equal(openFiles(), 0);
  });
});

describe('a path that is', () => {
  test('a link is not followed', async (t) => {
    const { exporter, path, directory } = startFileScene(t);
    symlinkSync(join(directory, 'elsewhere'), path);
    assertWaits(await send(exporter, [A]), /it is a link/);
    assert.equal(existsSync(join(directory, 'elsewhere')), false);
  });

  test('a directory or a pipe is refused', async (t) => {
    const { exporter, path } = startFileScene(t);
    mkdirSync(path);
    assertWaits(await send(exporter, [A]), /it is a directory/);
    rmSync(path, { recursive: true });
    assert.equal(spawnSync('mkfifo', [path]).status, 0);
    assertWaits(await send(exporter, [A]), /is not a file/);
  });

  test('in no directory is refused before anything starts', (t) => {
    const { make, directory } = startFileScene(t);
    assert.throws(
      () => make({ path: join(directory, 'none', 'x.jsonl') }),
      (error) => error instanceof VerdictError && error.code === 'config_invalid',
    );
  });

  test('of a format that is none is refused', (t) => {
    const { make } = startFileScene(t);
    assert.throws(() => make({ format: 'xml' }), /there is no format "xml": use one of json,/);
  });

  test('written to by another exporter waits until that lets go', async (t) => {
    const { exporter, path, make } = startFileScene(t);
    assertSent(await send(exporter, [A]));
    const second = make();
    assertWaits(await send(second, [B]), /has not come back/);
    await exporter.shutdown();
    assertSent(await send(second, [B]));
    assert.deepEqual(linesOf(path), [A, B]);
  });

  test('on a file system that hangs holds up nobody, and goes on by itself', async (t) => {
    const { make, path, faults } = startFileScene(t);
    const { promise: back, resolve: comeBack } = Promise.withResolvers<void>();
    const hanging = make();
    assertSent(await send(hanging, [A]));
    faults.sync = () => back;
    const given = send(hanging, [B]);
    // What the watchdog does: shutdown is not awaited, and another one is made.
    const gone = hanging.shutdown();
    assertWaits(await send(make(), [B]), /has not come back/);
    comeBack();
    await Promise.all([given, gone]);
    const next = make();
    assertSent(await send(next, [B]));
    assert.deepEqual(linesOf(path), [A, B, B], 'the same record, with the same id');
  });
});

test('a record that is none of ours is a matter of the record, not of the file', (t) => {
  const { exporter } = startFileScene(t);
  const [record] = recordsOf([A]);
  const foreign = Object.assign(Object.create(record ?? null), { body: { a: 1 } });
  assert.throws(() => exporter.export([foreign], () => {}), /no body/);
});

test('lines of others in the file stay as they are', async (t) => {
  const { exporter, path } = startFileScene(t);
  writeFileSync(path, '# a heading\n');
  assertSent(await send(exporter, [A]));
  appendFileSync(path, 'an editor\n');
  assertSent(await send(exporter, [B]));
  assert.deepEqual(linesOf(path), ['# a heading', A, 'an editor', B]);
});
