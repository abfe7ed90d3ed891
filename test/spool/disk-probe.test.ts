import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  describeDisk,
  fileSystemName,
  PROBE_SYNCS,
  probeDisk,
  SYNC_SLOW_MS,
} from '../../src/spool/disk-probe.ts';
import { createSimulatedFiles } from '../support/simulated-files.ts';
import { SPOOL } from '../support/spooled.ts';

test('a probe writes, syncs, measures, and leaves nothing behind', () => {
  const files = createSimulatedFiles();
  files.makeDirectory(SPOOL);
  let clock = 0;
  let step = 0;
  // The n-th sync takes n milliseconds.
  const nowMs = (): number => {
    step += 1;
    clock += step % 2 === 0 ? step / 2 : 100;
    return clock;
  };
  const probe = probeDisk({ files, directory: SPOOL, magic: 0xef53, nowMs });
  assert.deepEqual(probe, { syncMedianMs: 9, syncMaxMs: PROBE_SYNCS, fileSystem: 'ext4' });
  assert.equal(files.operations.filter(({ name }) => name === 'sync').length, PROBE_SYNCS);
  assert.deepEqual(files.list(SPOOL), []);
});

test('a probe of a broken disk throws and leaves nothing behind', () => {
  const files = createSimulatedFiles();
  files.makeDirectory(SPOOL);
  files.fail('sync', { code: 'EIO', nth: 3 });
  assert.throws(() => probeDisk({ files, directory: SPOOL, magic: 0 }), { code: 'EIO' });
  assert.deepEqual(files.list(SPOOL), []);
});

test('file systems are known by their number, signed or not', () => {
  assert.equal(fileSystemName(0x9123683e), 'btrfs');
  assert.equal(fileSystemName(0x9123683e | 0), 'btrfs');
  assert.equal(fileSystemName(1), undefined);
});

const WARNED: readonly [fileSystem: string, says: RegExp][] = [
  ['tmpfs', /memory/],
  ['ramfs', /memory/],
  ['overlay', /container/],
  ['nfs', /network/],
  ['cifs', /network/],
  ['fuse', /program/],
];

for (const [fileSystem, says] of WARNED) {
  test(`a spool on ${fileSystem} is warned of`, () => {
    const { warnings } = describeDisk({ syncMedianMs: 0.2, syncMaxMs: 1, fileSystem });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', says);
  });
}

test('a good disk is told and not warned of, nor is one that is not known', () => {
  assert.deepEqual(describeDisk({ syncMedianMs: 0.172, syncMaxMs: 12.3, fileSystem: 'ext4' }), {
    fact: 'the spool’s disk (ext4) takes 0.17 ms for a sync, 12 ms at most of 16',
    warnings: [],
  });
  const unknown = describeDisk({ syncMedianMs: 1, syncMaxMs: 1, fileSystem: undefined });
  assert.deepEqual(unknown.warnings, []);
  assert.doesNotMatch(unknown.fact, /undefined/);
});

test(`a median of ${SYNC_SLOW_MS} ms is fine, more is a warning`, () => {
  const of = (syncMedianMs: number): number =>
    describeDisk({ syncMedianMs, syncMaxMs: 100, fileSystem: 'xfs' }).warnings.length;
  assert.equal(of(SYNC_SLOW_MS), 0);
  assert.equal(of(SYNC_SLOW_MS + 0.1), 1);
});
