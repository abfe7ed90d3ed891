/** The format on disk, byte for byte: who changes it must still read what older versions wrote. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { halve } from '../../src/event/halves.ts';
import { createCommitter } from '../../src/spool/committer.ts';
import { DECISION, LIFECYCLE, OUTCOME } from '../event/sample.ts';
import { createSimulatedFiles } from '../support/simulated-files.ts';
import { IDENTITY, SPOOL, STREAM } from '../support/spooled.ts';

const GOLDEN = new URL('../golden/segment-v1.log', import.meta.url);

test('a segment with header, three records in two commits, and seal is the golden one', () => {
  const files = createSimulatedFiles();
  const committer = createCommitter({
    files,
    directory: SPOOL,
    streamId: STREAM,
    identityOfStream: IDENTITY,
    predecessor: { stream: STREAM.replace(/.$/, '9'), sequence: 41, hash: 'cd'.repeat(32) },
    openDecisions: ['019aaaaa-0000-7000-8000-000000000001'],
  });
  assert.ok(committer.commit([halve(LIFECYCLE), halve(DECISION)]).ok);
  assert.ok(committer.commit([halve(OUTCOME)]).ok);
  assert.ok(committer.close());
  const bytes = files.bytes(`${SPOOL}/${STREAM}/00000000000000000001.log`);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(GOLDEN, bytes);
  assert.equal(bytes.toString(), readFileSync(GOLDEN, 'utf8'));
});
