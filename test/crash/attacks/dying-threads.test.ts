/** The threads that write and deliver are ended under the service: calls are refused or wait, and nothing is lost. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SEVERITY } from '../../../src/event/vocabulary.ts';
import type { Spool } from '../../../src/export/spool-options.ts';
import { eventually } from '../../support/collector.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';
import { deny, open, sign, verify } from './spool-scene.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-threads-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** The threads that are started from now on, by the kind of message that they are sent. */
function watchThreads(t: TestContext): Map<string, Worker> {
  const threads = new Map<string, Worker>();
  const post = Worker.prototype.postMessage;
  t.mock.method(Worker.prototype, 'postMessage', function (this: Worker, ...given: Parameters<typeof post>) {
    const [message] = given;
    // Both threads are told plain objects that say of which kind they are (writer-message.ts, delivery-message.ts).
    threads.set((message as { kind: string }).kind, this);
    post.apply(this, given);
  });
  return threads;
}

const call = {
  name: 'verdict.decision',
  severity: SEVERITY.allow,
  fields: { 'verdict.decision.effect': 'allow', 'jsonrpc.request.id': '1' },
} as const;

function outcomeOf(spool: Spool): Promise<'recorded' | 'refused'> {
  return spool.recorded(spool.record(call)).then(
    () => 'recorded',
    () => 'refused',
  );
}

test('calls are refused while the writer is dead; it comes back, and all that was recorded is proven', async (t) => {
  const threads = watchThreads(t);
  const directory = join(root, 'writer');
  const spool = await open(directory);
  t.after(() => spool.stop(0));
  await deny(spool, 3);
  const { stream } = spool.position();
  const pending = Array.from({ length: 50 }, () => outcomeOf(spool));
  await Promise.resolve();
  await threads.get('commit')?.terminate();
  const told = await Promise.all(pending);
  assert.equal(await outcomeOf(spool), 'refused', 'nobody writes now');
  assert.equal(spool.status().healthy, false);
  await eventually(async () => ((await outcomeOf(spool)) === 'recorded' ? true : undefined), {
    what: 'a new writer',
  });
  assert.notEqual(spool.position().stream, stream);
  await deny(spool, 3);
  await sign(spool);
  const recorded = told.filter((how) => how === 'recorded').length;
  spool.record({
    name: 'verdict.lifecycle',
    severity: SEVERITY.info,
    fields: { 'verdict.lifecycle.state': 'stop' },
  });
  await spool.stop(1000);
  const { exit, out } = await verify(directory);
  assert.equal(exit, 0, `${recorded} of 50 were recorded\n${out}`);
});

test('a delivery thread that dies in the middle goes on from its cursors, and everything comes', async (t) => {
  const threads = watchThreads(t);
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const directory = join(root, 'delivery');
  receiver.answerWith(() => ({ hang: true }));
  const spool = await open(directory, { url: receiver.url });
  t.after(() => spool.stop(0));
  await deny(spool, 20);
  await eventually(() => (receiver.requests.length > 0 ? true : undefined), { what: 'a request' });
  receiver.answerWith(() => ({}));
  await threads.get('stream')?.terminate();
  await deny(spool, 20);
  assert.equal(await outcomeOf(spool), 'recorded', 'whoever delivers holds up no call');
  const { sequence } = spool.position();
  // Nothing is recorded any more that would wake it.
  await eventually(
    () => (new Set(receiver.logs().map(({ body }) => body)).size >= sequence ? true : undefined),
    {
      what: 'all records, after the thread was started again',
    },
  );
  const file = join(root, 'received.jsonl');
  writeFileSync(
    file,
    receiver
      .logs()
      .map(({ body }) => String(body))
      .join('\n'),
  );
  const { out } = await verify(file);
  assert.doesNotMatch(out, /missing|contradict|changed/);
});
