/** What the spool's disk can do: each recorded call waits for one of its syncs. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { SpoolFiles } from './files.ts';

export interface DiskProbe {
  /** Median time of a 4 KiB write and its sync. */
  readonly syncMedianMs: number;
  readonly syncMaxMs: number;
  /** Name of the file system's type; undefined where it is not known. */
  readonly fileSystem: string | undefined;
}

export interface ProbeOptions {
  readonly files: SpoolFiles;
  /** The spool's; must exist. */
  readonly directory: string;
  /** statfs(2)'s magic number (node-files.ts). */
  readonly magic: number;
  readonly nowMs?: () => number;
}

export const PROBE_SYNCS = 16;
const PROBE_BYTES = 4096;
/** Above it, the median sync is worth a warning: each call alone waits at least that long. */
export const SYNC_SLOW_MS = 20;

/** Magic numbers of statfs(2). */
const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0xca451a4e, 'bcachefs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlay'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x517b, 'smb'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
  [0x00c36400, 'ceph'],
]);

const VOLATILE = 'lives in memory: a restart of the machine loses every record that is not delivered yet';
const CONTAINER = 'goes with its container: mount a volume at the spool’s directory';
const NETWORK =
  'is a network file system: what is synced may still be lost with its server, and locks may not hold';
const FOREIGN = 'is served by a program: whether a sync reaches a disk is up to that';

const DOUBTS: Readonly<Record<string, string>> = {
  tmpfs: VOLATILE,
  ramfs: VOLATILE,
  overlay: CONTAINER,
  nfs: NETWORK,
  cifs: NETWORK,
  smb: NETWORK,
  smb2: NETWORK,
  ceph: NETWORK,
  fuse: FOREIGN,
  '9p': FOREIGN,
};

/** Measures PROBE_SYNCS syncs on a file of its own, which it removes. Throws what the disk throws. */
export function probeDisk({
  files,
  directory,
  magic,
  nowMs = () => performance.now(),
}: ProbeOptions): DiskProbe {
  const path = join(directory, `probe.${randomUUID()}`);
  const file = files.open(path, 'create');
  try {
    const times = Array.from({ length: PROBE_SYNCS }, (_, index) => {
      const start = nowMs();
      file.write(Buffer.alloc(PROBE_BYTES, index + 1), index * PROBE_BYTES);
      file.sync();
      return nowMs() - start;
    }).sort((a, b) => a - b);
    return {
      syncMedianMs: times[PROBE_SYNCS / 2] ?? 0,
      syncMaxMs: times.at(-1) ?? 0,
      fileSystem: fileSystemName(magic),
    };
  } finally {
    file.close();
    files.unlink(path);
  }
}

/** Some systems give the number as a signed 32-bit one. */
export function fileSystemName(magic: number): string | undefined {
  return FILE_SYSTEMS.get(magic >>> 0);
}

/** What to say of a disk at start: a fact always, and warnings where the promise hangs on more than the disk. */
export function describeDisk(probe: DiskProbe): {
  readonly fact: string;
  readonly warnings: readonly string[];
} {
  const { syncMedianMs, syncMaxMs, fileSystem } = probe;
  const warnings: string[] = [];
  const doubt = fileSystem === undefined ? undefined : DOUBTS[fileSystem];
  if (doubt !== undefined) warnings.push(`the spool’s file system (${fileSystem}) ${doubt}`);
  if (syncMedianMs > SYNC_SLOW_MS) {
    warnings.push(`the spool’s disk takes ${ms(syncMedianMs)} for a sync, and each call waits for one`);
  }
  const fact = `the spool’s disk${fileSystem === undefined ? '' : ` (${fileSystem})`} takes ${ms(syncMedianMs)} for a sync, ${ms(syncMaxMs)} at most of ${PROBE_SYNCS}`;
  return { fact, warnings };
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}
