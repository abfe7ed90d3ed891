import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSimulatedFiles, POWER_CUT, SECTOR_BYTES, seededRandom } from './simulated-files.ts';
import type { SimulatedFiles } from './simulated-files.ts';

const CRASHES = 200;

function withFile(size: number, options = {}): { files: SimulatedFiles; path: string } {
  const files = createSimulatedFiles(options);
  files.makeDirectory('/spool/stream');
  const path = '/spool/stream/a.log';
  const file = files.open(path, 'create');
  file.write(Buffer.alloc(size, 1), 0);
  file.sync();
  file.close();
  files.syncDirectory('/spool/stream');
  return { files, path };
}

/** What many crashes leave of the same moment, as texts. */
function crashes(make: () => SimulatedFiles, look: (after: SimulatedFiles) => string): Set<string> {
  return new Set(Array.from({ length: CRASHES }, (_, seed) => look(make().crash(seededRandom(seed)))));
}

const hasCode = (code: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === code;

test('what is synced survives every crash', () => {
  const seen = crashes(
    () => withFile(3 * SECTOR_BYTES).files,
    (after) => after.bytes('/spool/stream/a.log').toString('hex'),
  );
  assert.deepEqual([...seen], [Buffer.alloc(3 * SECTOR_BYTES, 1).toString('hex')]);
});

test('of what is not synced any subset of sectors survives, each whole', () => {
  const seen = crashes(
    () => {
      const { files, path } = withFile(3 * SECTOR_BYTES);
      files.open(path, 'write').write(Buffer.alloc(3 * SECTOR_BYTES, 2), 0);
      return files;
    },
    (after) => {
      const bytes = after.bytes('/spool/stream/a.log');
      return [0, 1, 2]
        .map((at) => {
          const sector = bytes.subarray(at * SECTOR_BYTES, (at + 1) * SECTOR_BYTES);
          assert.equal(new Set(sector).size, 1, 'a torn sector');
          return sector[0];
        })
        .join('');
    },
  );
  assert.deepEqual([...seen].sort(), ['111', '112', '121', '122', '211', '212', '221', '222']);
});

test('a sector written twice keeps either writing, or neither', () => {
  const seen = crashes(
    () => {
      const { files, path } = withFile(SECTOR_BYTES);
      const file = files.open(path, 'write');
      file.write(Buffer.alloc(SECTOR_BYTES, 2), 0);
      file.write(Buffer.alloc(SECTOR_BYTES, 3), 0);
      return files;
    },
    (after) => String(after.bytes('/spool/stream/a.log')[0]),
  );
  assert.deepEqual([...seen].sort(), ['1', '2', '3']);
});

test('a size that is not synced may be lost, and a lost sector within it reads as zeros', () => {
  const seen = crashes(
    () => {
      const { files, path } = withFile(SECTOR_BYTES);
      files.open(path, 'write').write(Buffer.alloc(SECTOR_BYTES, 2), SECTOR_BYTES);
      return files;
    },
    (after) => {
      const bytes = after.bytes('/spool/stream/a.log');
      return `${bytes.length / SECTOR_BYTES} ${bytes.at(-1)}`;
    },
  );
  assert.deepEqual([...seen].sort(), ['1 1', '2 0', '2 2']);
});

test('created, renamed and unlinked names survive or not until the directory is synced', () => {
  const make = (synced: boolean) => () => {
    const { files, path } = withFile(1);
    files.rename(path, '/spool/stream/b.log');
    files.open('/spool/stream/c.log', 'create');
    if (synced) files.syncDirectory('/spool/stream');
    return files;
  };
  const look = (after: SimulatedFiles): string => after.list('/spool/stream').join(' ');
  assert.deepEqual([...crashes(make(true), look)], ['b.log c.log']);
  assert.deepEqual([...crashes(make(false), look)].sort(), ['a.log', 'a.log c.log', 'b.log', 'b.log c.log']);
});

test('an unlink that is not synced may come back', () => {
  const look = (after: SimulatedFiles): string => after.list('/spool/stream').join(' ');
  const make = (): SimulatedFiles => {
    const { files, path } = withFile(1);
    files.unlink(path);
    return files;
  };
  assert.deepEqual([...crashes(make, look)].sort(), ['', 'a.log']);
});

test('after a failed sync no later one makes durable what was written before it', () => {
  const make = (): SimulatedFiles => {
    const { files, path } = withFile(2 * SECTOR_BYTES);
    const file = files.open(path, 'write');
    file.write(Buffer.alloc(SECTOR_BYTES, 2), 0);
    files.fail('sync', { code: 'EIO' });
    assert.throws(() => file.sync(), hasCode('EIO'));
    file.write(Buffer.alloc(SECTOR_BYTES, 3), SECTOR_BYTES);
    file.sync();
    return files;
  };
  const look = (after: SimulatedFiles): string => {
    const bytes = after.bytes('/spool/stream/a.log');
    return `${bytes[0]}${bytes[SECTOR_BYTES]}`;
  };
  assert.deepEqual([...crashes(make, look)].sort(), ['13', '23']);
});

test('with syncs switched off, what was synced can be lost', () => {
  const seen = crashes(
    () => withFile(SECTOR_BYTES, { syncs: false }).files,
    (after) => after.paths().join(' '),
  );
  assert.ok(seen.size > 1);
});

test('kill -9 frees locks, closes files and loses nothing', () => {
  const { files, path } = withFile(1);
  const file = files.open(path, 'write');
  assert.ok(files.lock('/spool/stream/lock.sqlite'));
  assert.equal(files.lock('/spool/stream/lock.sqlite'), undefined);
  file.write(Buffer.from([9]), 0);
  files.kill();
  assert.throws(() => file.sync(), hasCode('EBADF'));
  assert.deepEqual([...files.bytes(path)], [9]);
  const lock = files.lock('/spool/stream/lock.sqlite');
  lock?.release();
  assert.ok(files.lock('/spool/stream/lock.sqlite'));
});

test('a full disk takes what fits and then says ENOSPC; written places still take writes', () => {
  const { files, path } = withFile(10);
  const file = files.open(path, 'write');
  files.limits.freeBytes = 4;
  assert.equal(file.write(Buffer.alloc(10), 5), 9);
  assert.equal(files.freeBytes('/spool'), 0);
  assert.throws(() => file.write(Buffer.alloc(1), 14), hasCode('ENOSPC'));
  assert.equal(file.write(Buffer.alloc(14), 0), 14);
  files.unlink(path);
  assert.equal(files.freeBytes('/spool'), 14);
});

test('limits: short writes, file size, open files, a read-only disk', () => {
  const { files, path } = withFile(1);
  const file = files.open(path, 'write');
  files.limits.writeBytesMax = 3;
  assert.equal(file.write(Buffer.alloc(10), 0), 3);
  files.limits.fileBytesMax = 3;
  assert.throws(() => file.write(Buffer.alloc(1), 3), hasCode('EFBIG'));
  files.limits.openFilesMax = 1;
  assert.throws(() => files.open(path, 'read'), hasCode('EMFILE'));
  file.close();
  files.limits.readOnly = true;
  files.open(path, 'read').close();
  assert.throws(() => files.open(path, 'write'), hasCode('EROFS'));
  assert.throws(() => files.unlink(path), hasCode('EROFS'));
});

test('a scripted fault meets the n-th such operation on such a path', () => {
  const { files, path } = withFile(1);
  files.fail('open', { code: 'EIO', nth: 2, path: 'a.log' });
  files.open(path, 'read');
  assert.throws(() => files.open(path, 'read'), hasCode('EIO'));
  files.open(path, 'read');
  files.fail('open', { code: 'EIO', path: 'b.log' });
  files.open(path, 'read');
});

test('when the power is cut, the operation is half done and none works after it', () => {
  const { files, path } = withFile(SECTOR_BYTES);
  const file = files.open(path, 'write');
  files.cutAt(1);
  assert.throws(() => file.write(Buffer.alloc(SECTOR_BYTES, 2), 0), hasCode(POWER_CUT));
  assert.throws(() => file.sync(), hasCode(POWER_CUT));
  assert.throws(() => files.list('/spool'), hasCode(POWER_CUT));
  assert.equal(files.bytes(path)[0], 2);
});

test('a file knows whether a path still names it', () => {
  const { files, path } = withFile(1);
  const file = files.open(path, 'write');
  assert.ok(file.isAt(path));
  files.plant(path, Buffer.from('other'));
  assert.ok(!file.isAt(path));
  files.unlink(path);
  assert.ok(!file.isAt(path));
});

test('open, create and list behave as the system’s', () => {
  const { files, path } = withFile(1);
  assert.throws(() => files.open(path, 'create'), hasCode('EEXIST'));
  assert.throws(() => files.open('/spool/none', 'read'), hasCode('ENOENT'));
  assert.throws(() => files.open('/spool/stream', 'read'), hasCode('EISDIR'));
  assert.throws(() => files.removeDirectory('/spool/stream'), hasCode('ENOTEMPTY'));
  assert.deepEqual(files.list('/none'), []);
  assert.deepEqual(files.list('/spool/stream'), ['a.log']);
  assert.deepEqual(
    files.operations.slice(0, 4).map(({ name }) => name),
    ['makeDirectory', 'create', 'write', 'sync'],
  );
});
