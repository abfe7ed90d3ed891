/** A stream that waits to be delivered, written by the committer itself; without syncs, because nobody waits here. */
import { createCommitter } from '../../src/spool/committer.ts';
import type { SpoolFiles } from '../../src/spool/files.ts';
import { nodeFiles } from '../../src/spool/node-files.ts';
import type { DurablePosition } from '../../src/spool/position.ts';
import { newUid } from '../../src/event/uid.ts';
import { IDENTITY, makeHalves } from './records.ts';

const BATCH_RECORDS = 512;

const unsynced: SpoolFiles = {
  ...nodeFiles,
  open: (path, how) => ({ ...nodeFiles.open(path, how), sync: () => {} }),
};

/** @returns where the stream ends; it is sealed, and free to be adopted */
export function fillStream(directory: string, records: number): DurablePosition {
  const committer = createCommitter({
    files: unsynced,
    directory,
    streamId: newUid(Date.now()),
    identityOfStream: IDENTITY,
  });
  for (let left = records; left > 0; left -= BATCH_RECORDS) {
    const batch = Array.from({ length: Math.min(left, BATCH_RECORDS) }, makeHalves);
    const result = committer.commit(batch);
    if (!result.ok) throw new Error(`the spool cannot be filled: ${String(result.error)}`);
  }
  committer.close();
  const position = committer.position();
  committer.release();
  return position;
}
