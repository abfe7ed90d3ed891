import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createCommitter } from '../../src/spool/committer.ts';
import { fileSystemMagic, nodeFiles } from '../../src/spool/node-files.ts';
import { SEGMENT_BYTES_MIN } from '../../src/spool/segment.ts';
import { entry, IDENTITY, linesAt, STREAM } from '../support/spooled.ts';

const ROOT = fs.mkdtempSync(join(tmpdir(), 'verdict-files-'));
after(() => fs.rmSync(ROOT, { recursive: true }));

let count = 0;
function fresh(): string {
  count += 1;
  const path = join(ROOT, String(count));
  nodeFiles.makeDirectory(path);
  return path;
}

function modeOf(path: string): number {
  return fs.statSync(path).mode & 0o777;
}

describe('files', () => {
  test('are made for their owner only, and only where nothing is yet', () => {
    const path = join(fresh(), 'a');
    nodeFiles.open(path, 'create').close();
    assert.equal(modeOf(path), 0o600);
    assert.throws(() => nodeFiles.open(path, 'create'), { code: 'EEXIST' });
    assert.throws(() => nodeFiles.open(`${path}b`, 'write'), { code: 'ENOENT' });
    assert.throws(() => nodeFiles.open(`${path}b`, 'read'), { code: 'ENOENT' });
  });

  test('are written and read at positions', () => {
    const path = join(fresh(), 'a');
    const file = nodeFiles.open(path, 'create');
    assert.equal(file.write(Buffer.from('world'), 6), 5);
    assert.equal(file.write(Buffer.from('hello'), 0), 5);
    file.sync();
    assert.equal(file.size(), 11);
    file.close();
    file.close();
    const reader = nodeFiles.open(path, 'read');
    const buffer = Buffer.alloc(20);
    assert.equal(reader.read(buffer, 0), 11);
    assert.equal(buffer.toString('latin1', 0, 11), 'hello\0world');
    assert.equal(reader.read(buffer, 11), 0);
    assert.throws(() => reader.write(buffer, 0), { code: 'EBADF' });
    reader.close();
  });

  for (const how of ['read', 'write', 'create'] as const) {
    test(`are not followed through a link: ${how}`, () => {
      const directory = fresh();
      fs.writeFileSync(join(directory, 'target'), 'x');
      fs.symlinkSync(join(directory, 'target'), join(directory, 'link'));
      fs.symlinkSync(join(directory, 'nowhere'), join(directory, 'dangling'));
      for (const name of ['link', 'dangling']) {
        assert.throws(() => nodeFiles.open(join(directory, name), how), /ELOOP|EEXIST/);
      }
      assert.deepEqual(fs.readdirSync(directory).sort(), ['dangling', 'link', 'target']);
    });
  }

  test('are no directories and no pipes, and a pipe holds nobody up', () => {
    const directory = fresh();
    assert.throws(() => nodeFiles.open(directory, 'read'), { code: 'ELOOP' });
    const pipe = join(directory, 'pipe');
    if (spawnSync('mkfifo', [pipe]).status === 0) {
      assert.throws(() => nodeFiles.open(pipe, 'read'), { code: 'ELOOP' });
    }
  });

  test('know whether their path still names them', () => {
    const directory = fresh();
    const path = join(directory, 'a');
    const file = nodeFiles.open(path, 'create');
    assert.ok(file.isAt(path));
    nodeFiles.rename(path, `${path}2`);
    assert.ok(!file.isAt(path));
    assert.ok(file.isAt(`${path}2`));
    nodeFiles.open(path, 'create').close();
    assert.ok(!file.isAt(path), 'replaced');
    nodeFiles.unlink(`${path}2`);
    assert.ok(!file.isAt(`${path}2`));
    file.close();
  });
});

describe('directories', () => {
  test('are made with their parents, for their owner only', () => {
    const path = join(fresh(), 'a', 'b');
    nodeFiles.makeDirectory(path);
    nodeFiles.makeDirectory(path);
    assert.equal(modeOf(path), 0o700);
    assert.equal(modeOf(join(path, '..')), 0o700);
    nodeFiles.syncDirectory(path);
  });

  test('that others may use are refused', () => {
    const path = fresh();
    for (const mode of [0o750, 0o701, 0o777]) {
      fs.chmodSync(path, mode);
      assert.throws(() => nodeFiles.makeDirectory(path), { code: 'EACCES' });
    }
    fs.chmodSync(path, 0o700);
    nodeFiles.makeDirectory(path);
  });

  test('that are files are refused', () => {
    const path = join(fresh(), 'a');
    nodeFiles.open(path, 'create').close();
    assert.throws(() => nodeFiles.makeDirectory(path), { code: 'EEXIST' });
  });

  test('list their names sorted, a missing one none; they go when they are empty', () => {
    const path = fresh();
    for (const name of ['b', 'a']) nodeFiles.open(join(path, name), 'create').close();
    assert.deepEqual(nodeFiles.list(path), ['a', 'b']);
    assert.deepEqual(nodeFiles.list(join(path, 'none')), []);
    assert.throws(() => nodeFiles.removeDirectory(path), { code: 'ENOTEMPTY' });
    for (const name of ['b', 'a']) nodeFiles.unlink(join(path, name));
    nodeFiles.removeDirectory(path);
    assert.ok(!fs.existsSync(path));
  });

  test('tell the room and the kind of their file system', () => {
    assert.ok(nodeFiles.freeBytes(ROOT) > 0);
    assert.ok(Number.isInteger(fileSystemMagic(ROOT)));
  });
});

describe('a lock', () => {
  test('is held against its own process too, and its attempts do not free it', () => {
    const path = join(fresh(), 'lock.sqlite');
    const lock = nodeFiles.lock(path);
    assert.ok(lock);
    assert.equal(nodeFiles.lock(path), undefined);
    assert.equal(nodeFiles.lock(path), undefined);
    lock.release();
    lock.release();
    const next = nodeFiles.lock(path);
    assert.ok(next);
    next.release();
  });

  test('on a file that was unlinked meanwhile keeps nobody from the new one', () => {
    const path = join(fresh(), 'lock.sqlite');
    const old = nodeFiles.lock(path);
    nodeFiles.unlink(path);
    const lock = nodeFiles.lock(path);
    assert.ok(lock);
    assert.equal(nodeFiles.lock(path), undefined);
    old?.release();
    lock.release();
  });

  test('is no link and no directory', () => {
    const directory = fresh();
    fs.symlinkSync(join(directory, 'target'), join(directory, 'link'));
    assert.throws(() => nodeFiles.lock(join(directory, 'link')), { code: 'ELOOP' });
    assert.throws(() => nodeFiles.lock(directory), { code: 'ELOOP' });
    assert.throws(() => nodeFiles.lock(join(directory, 'none', 'lock.sqlite')), { code: 'ENOENT' });
    assert.deepEqual(fs.readdirSync(directory), ['link']);
  });
});

test('a stream on a real disk: commits, rotates, seals, and keeps modes', () => {
  const directory = join(fresh(), 'spool');
  const committer = createCommitter({
    files: nodeFiles,
    directory,
    streamId: STREAM,
    identityOfStream: IDENTITY,
    segmentBytes: SEGMENT_BYTES_MIN,
  });
  for (let index = 0; index < 60; index += 1) {
    assert.ok(committer.commit([entry(`a${index}`, 1000), entry(`b${index}`, 1000)]).ok);
    while (committer.prepareNext());
  }
  assert.ok(committer.close());
  committer.release();
  const stream = join(directory, STREAM);
  const segments = fs.readdirSync(stream).filter((name) => name !== 'lock.sqlite');
  assert.ok(segments.length >= 2);
  const lines = segments.flatMap((name) => linesAt(nodeFiles, join(stream, name)));
  assert.equal(lines.length, 120 + 2 * segments.length);
  for (const name of segments) assert.equal(modeOf(join(stream, name)), 0o600);
  assert.equal(modeOf(stream), 0o700);
  assert.equal(modeOf(directory), 0o700);
});

test('a segment unlinked from outside ends the stream instead of losing what comes', () => {
  const directory = fresh();
  const options = { files: nodeFiles, directory, streamId: STREAM, identityOfStream: IDENTITY };
  const committer = createCommitter(options);
  assert.ok(committer.commit([entry('a')]).ok);
  fs.rmSync(join(directory, STREAM), { recursive: true });
  const result = committer.commit([entry('b')]);
  assert.ok(!result.ok && result.fatal);
  committer.close();
  committer.release();
});
