/** Streams on a real disk, written by the committer and announced as the service does it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { halve } from '../../src/event/halves.ts';
import { newUid } from '../../src/event/uid.ts';
import type { StreamAnnouncement } from '../../src/export/delivery-message.ts';
import { createCommitter } from '../../src/spool/committer.ts';
import { nodeFiles } from '../../src/spool/node-files.ts';
import type { Citation } from '../../src/spool/position.ts';
import { DECISION, LIFECYCLE } from '../event/sample.ts';
import { IDENTITY } from './memory-stream.ts';

export function makeSpool(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'verdict-delivery-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Writes a stream whose first record is the `start` of its process. */
export function writeStream(t: TestContext, directory: string, predecessor?: Citation) {
  const committer = createCommitter({
    files: nodeFiles,
    directory,
    streamId: newUid(Date.now()),
    identityOfStream: IDENTITY,
    ...(predecessor && { predecessor }),
  });
  t.after(() => {
    committer.close();
    committer.release();
  });
  const write = (records: readonly (typeof DECISION)[]) => {
    const result = committer.commit(records.map(halve));
    if (!result.ok) throw result.error;
    return result.position;
  };
  write([LIFECYCLE]);
  return {
    stream: committer.stream,
    /** Commits so many decisions; says how far the stream is durable. */
    commit: (count: number, message?: string) =>
      write(
        Array.from({ length: count }, () => ({
          ...DECISION,
          attributes: {
            ...DECISION.attributes,
            'log.record.uid': newUid(Date.now()),
            ...(message !== undefined && { 'verdict.decision.message': message }),
          },
        })),
      ),
    position: () => committer.position(),
    close: () => committer.close(),
    announcement: (): StreamAnnouncement => ({ identity: IDENTITY, first: 1, durable: committer.position() }),
  };
}
