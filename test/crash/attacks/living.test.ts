/** Attempts on a spool that is in use, on what is beside it, and by the collector that it is delivered to. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { halve } from '../../../src/event/halves.ts';
import { loadSigningKey } from '../../../src/event/signing.ts';
import { newUid } from '../../../src/event/uid.ts';
import { DEAD_LETTER_DIRECTORY } from '../../../src/export/dead-letter.ts';
import { createCommitter } from '../../../src/spool/committer.ts';
import { nodeFiles } from '../../../src/spool/node-files.ts';
import { DECISION, LIFECYCLE } from '../../event/sample.ts';
import { eventually } from '../../support/collector.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../../support/otlp-receiver.ts';
import { IDENTITY } from '../../support/spooled.ts';
import { copyOf, deny, makeOriginal, open, sign, verify, type Original } from './spool-scene.ts';

const TIMEOUT_MS = 60_000;
const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-living-'));
after(() => rmSync(root, { recursive: true, force: true }));

let original: Original;
before(async () => {
  original = await makeOriginal();
});

async function audit(...receivers: OtlpReceiver[]) {
  const file = join(mkdtempSync(join(root, 'received-')), 'bodies.jsonl');
  writeFileSync(
    file,
    receivers.flatMap((receiver) => receiver.logs().map(({ body }) => String(body))).join('\n'),
  );
  return await verify(file);
}

describe('an attack on a spool in use', () => {
  test(
    'a second process that takes the lock file away: what it says is contradicted, and nothing is lost',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const directory = join(mkdtempSync(join(root, 'stolen-')), 'spool');
      const [first, second] = [await startOtlpReceiver(), await startOtlpReceiver()];
      t.after(first.close);
      t.after(second.close);
      const victim = await open(directory, { url: first.url });
      await deny(victim, 5);
      const { stream } = victim.position();
      const honest = await open(directory, { url: second.url });
      assert.deepEqual(honest.adopted, [], 'what lives is left alone');
      await honest.stop(5000);
      unlinkSync(join(directory, stream, 'lock.sqlite'));
      const thief = await open(directory, { url: second.url });
      assert.equal(thief.adopted.length, 2, 'the lock is what protects a stream');
      await deny(victim, 5);
      await sign(victim);
      await thief.stop(5000);
      await victim.stop(5000);
      const came = new Set(first.logs().map(({ body }) => String(body)));
      const denied = [...came].filter((body) => body.includes(stream) && body.includes('"verdict.decision"'));
      assert.equal(denied.length, 10, 'its owner delivers all of it');
      const { exit, out } = await audit(first, second);
      assert.equal(exit, 1, out);
      assert.match(out, new RegExp(`! ${stream} \\d+( to \\d+)?: `));
    },
  );

  test(
    'a spool that is rolled back to an earlier copy contradicts what was delivered',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const receiver = await startOtlpReceiver();
      t.after(receiver.close);
      const directory = copyOf(original.directory);
      const honest = await open(directory, { url: receiver.url });
      await honest.stop(10_000);
      const before = await audit(receiver);
      assert.doesNotMatch(before.out, new RegExp(`! ${original.second}`), before.out);
      const rolled = await open(copyOf(original.earlier), { url: receiver.url });
      await rolled.stop(10_000);
      const { exit, out } = await audit(receiver);
      assert.equal(exit, 1, out);
      assert.match(out, new RegExp(`! ${original.second} `));
    },
  );

  test(
    'a key that is replaced is not among those that the auditor has',
    { timeout: TIMEOUT_MS },
    async () => {
      const directory = copyOf(original.directory);
      const signing = loadSigningKey({ directory: join(mkdtempSync(join(root, 'keys-')), 'other'), env: {} });
      const spool = await open(directory, { signing });
      await deny(spool, 3);
      await spool.stop(1000);
      const { exit, out } = await verify(directory);
      assert.equal(exit, 1, out);
      assert.match(out, new RegExp(`key ${signing.id} is not among those given`));
    },
  );

  test(
    'a segment that is moved away and put back is not written behind anybody’s back',
    { timeout: TIMEOUT_MS },
    async () => {
      const directory = join(mkdtempSync(join(root, 'moved-')), 'spool');
      const spool = await open(directory);
      await deny(spool, 3);
      const { stream } = spool.position();
      const [name = ''] = readdirSync(join(directory, stream)).filter((file) => file.endsWith('.log'));
      const path = join(directory, stream, name);
      renameSync(path, `${path}.away`);
      await deny(spool, 3);
      const next = spool.position().stream;
      assert.notEqual(next, stream, 'it goes on elsewhere');
      renameSync(`${path}.away`, path);
      await deny(spool, 3);
      assert.equal(spool.position().stream, next);
      await spool.stop(1000);
      const { exit, out } = await verify(directory);
      assert.equal(exit, 0, out);
    },
  );
});

test(
  'a stream of somebody’s own making shows in the spool; a start that takes it over signs it, which is a limit',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(receiver.close);
    const directory = copyOf(original.directory);
    const forger = createCommitter({
      files: nodeFiles,
      directory,
      streamId: newUid(Date.now()),
      identityOfStream: IDENTITY,
    });
    const allowed = { ...DECISION.attributes, 'verdict.decision.effect': 'allow' };
    forger.commit([halve(LIFECYCLE), halve({ ...DECISION, attributes: allowed })]);
    forger.close();
    forger.release();
    const spooled = await verify(directory);
    assert.equal(spooled.exit, 1);
    assert.match(spooled.out, new RegExp(`! ${forger.stream} .*no good checkpoint vouches`), spooled.out);
    // Nothing tells it from the stream of a process that was killed before its first checkpoint: whoever may write to
    // the spool is believed. So the directory is 0700, and a spool that others may write to is not used.
    const spool = await open(directory, { url: receiver.url });
    await spool.stop(10_000);
    const { out } = await audit(receiver);
    assert.match(out, new RegExp(`ok +${forger.stream}: 2 records`), out);
  },
);

describe('a collector that refuses every record', () => {
  test(
    'empties no spool into the dead letters: all wait, all come when it has come to its senses',
    { timeout: TIMEOUT_MS },
    async (t) => {
      const receiver = await startOtlpReceiver();
      t.after(receiver.close);
      receiver.answerWith(() => ({ status: 400, body: '{"message":"no"}' }));
      const directory = copyOf(original.directory);
      const spool = await open(directory, { url: receiver.url });
      await eventually(() => (spool.status().exporters['otlp']?.alarm === undefined ? undefined : true), {
        what: 'an alarm',
      });
      const { exporters } = spool.status();
      assert.equal(exporters['otlp']?.deadLettered, 0);
      assert.equal(exporters['otlp']?.delivered, 0);
      const { waiting } = await spool.stop(1000);
      assert.ok(waiting >= original.bodies.size);
      assert.ok(!existsSync(join(directory, DEAD_LETTER_DIRECTORY)));
      assert.ok(receiver.requests.length > 0);

      const sane = await startOtlpReceiver();
      t.after(sane.close);
      const again = await open(directory, { url: sane.url });
      assert.equal((await again.stop(10_000)).waiting, 0);
      const bodies = new Set(sane.logs().map(({ body }) => String(body)));
      assert.deepEqual(
        [...original.bodies].filter((body) => !bodies.has(body)),
        [],
      );
    },
  );
});
