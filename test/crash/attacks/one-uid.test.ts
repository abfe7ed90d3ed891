/** Two records with one uid, as a program that uses the library may emit them: neither vouches for the other. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bodyToLogRecord } from '../../../src/event/log-record.ts';
import { createHttpExporter } from '../../../src/export/http/http-exporter.ts';
import { createRation } from '../../../src/spool/ration.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';
import { chainOf } from '../../export/memory-stream.ts';
import { send } from '../../export/records.ts';
import { scene, turn } from '../../spool/writer-scene.ts';
import { deny, open } from './spool-scene.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-uids-'));
after(() => rmSync(root, { recursive: true, force: true }));

test('the second is not durable because the first is', async (t) => {
  const { thread, writer, append, ask, told } = await scene(t);
  append('twice');
  void ask('twice');
  await turn();
  append('twice');
  thread.commit();
  await turn();
  assert.deepEqual([...told], [['twice', 'recorded']], 'the first');
  const second = writer.recorded('twice').then(() => 'durable');
  assert.equal(await Promise.race([second, turn().then(() => 'waiting')]), 'waiting');
  await turn();
  assert.equal(thread.commits.length, 2);
  thread.commit();
  assert.equal(await second, 'durable');
});

test('who asks late is not told that all is well when one of the two was refused', async (t) => {
  const { thread, writer, append, ask } = await scene(t);
  append('twice');
  void ask('twice');
  await turn();
  thread.refuse();
  append('twice');
  const second = writer.recorded('twice');
  await turn();
  thread.commit();
  await second;
  await assert.rejects(writer.recorded('twice'), { code: 'audit_unavailable' });
});

test('what is held while the spool is full and gives way to another is counted', () => {
  const ration = createRation(1);
  ration.measured({ bytes: 2, full: true });
  const record = { uid: 'twice', name: 'verdict.decision', entry: { head: '{', tail: '}' } };
  assert.equal(ration.admit(record), false);
  assert.equal(ration.admit(record), false);
  assert.equal(ration.counts().lost, 1);
});

test('an HTTP receiver that gets them one by one gets both', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const [first = '', second = ''] = chainOf(2);
  const uid = String(bodyToLogRecord(first).attributes['log.record.uid']);
  const same = second.replace(/"log\.record\.uid":"[^"]*"/, `"log.record.uid":"${uid}"`);
  const exporter = createHttpExporter({
    version: '1.2.3',
    settings: {
      url: receiver.url,
      format: 'json',
      batch: 'single',
      headers: {},
      compression: 'none',
      timeoutMs: 5000,
    },
  });
  t.after(() => exporter.shutdown());
  await send(exporter, [first, same]);
  assert.deepEqual(
    receiver.requests.map(({ body }) => body.toString()),
    [first, same],
  );
});

const BURST = 30_000;

test(`${BURST} records in one turn are all recorded: nobody can commit before it ends`, async (t) => {
  const spool = await open(join(root, 'burst'));
  t.after(() => spool.stop(0));
  const first = spool.record(note(0));
  for (let index = 1; index < BURST; index += 1) spool.record(note(index));
  await spool.recorded(first);
  await spool.settled();
  assert.equal(spool.status().writer.lost, 0);
  await deny(spool, 1);
  assert.ok(spool.position().sequence > BURST);
});

function note(index: number) {
  const message = `number ${index}`;
  return {
    name: 'verdict.decision',
    severity: 13,
    fields: { 'verdict.decision.effect': 'deny', 'verdict.decision.message': message },
  } as const;
}
