/** Receivers that say that they took what they did not, and destinations that keep less than they got. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ZERO_HASH } from '../../../src/event/stamp.ts';
import { judge } from '../../../src/export/acknowledgement.ts';
import { RETRY_AFTER_MS_MAX, retryAfterMs } from '../../../src/export/backoff.ts';
import { selectEffects } from '../../../src/export/effects.ts';
import { sendOnce } from '../../../src/export/honest-transport.ts';
import { systemTimers } from '../../../src/export/timers.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';
import { copyOf, makeOriginal, open, sequenceOf, verify, type Original } from './spool-scene.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-liars-'));
after(() => rmSync(root, { recursive: true, force: true }));

const JSON_TYPE = 'application/json';
const PROTOBUF = 'application/x-protobuf';

function judged(type: string, body: string | Uint8Array) {
  const headers = { 'content-type': type };
  const answer = { status: 200, headers, body: Buffer.from(body), cutOff: false };
  return judge(answer, { endpoint: 'https://collector.example/v1/logs', nowMs: 0 });
}

describe('a 200 that says in its body that it failed is no acknowledgement', () => {
  const internal = 'internal error';
  const status = Buffer.concat([Buffer.from([0x08, 13, 0x12, internal.length]), Buffer.from(internal)]);
  const failures: Readonly<Record<string, [type: string, body: string | Uint8Array]>> = {
    'a google.rpc.Status in JSON': [JSON_TYPE, '{"code":13,"message":"internal error"}'],
    'a google.rpc.Status in protobuf': [PROTOBUF, status],
    'a google.rpc.Status in protobuf that has no message': [PROTOBUF, status.subarray(0, 2)],
    'an HTTP status in JSON': [JSON_TYPE, '{"code":503,"message":"no healthy upstream"}'],
    'an HTTP status as text': [JSON_TYPE, '{"code":"429"}'],
    'an error as text': [JSON_TYPE, '{"error":"quota"}'],
    'an error as an object': [JSON_TYPE, '{"error":{"reason":"read-only"}}'],
    'the mark of a bulk request': [JSON_TYPE, '{"took":3,"errors":true,"items":[]}'],
    'a list of errors': [JSON_TYPE, '{"errors":["no such index"]}'],
  };
  for (const [name, [type, body]] of Object.entries(failures)) {
    test(name, () => assert.equal(judged(type, body).kind, 'retry'));
  }

  const rejections = ['1', '"1"', '"1e3"', 'true', '[5]', '0.5e1'];
  for (const count of rejections) {
    test(`${count} rejected records in whatever form`, () => {
      const body = `{"partialSuccess":{"rejectedLogRecords":${count}}}`;
      assert.equal(judged(JSON_TYPE, body).kind, 'refused');
    });
  }
  for (const count of ['-1', '"many"', '{}', '1.5']) {
    test(`${count} rejected records, which is no number of records`, () => {
      const body = `{"partialSuccess":{"rejectedLogRecords":${count}}}`;
      assert.equal(judged(JSON_TYPE, body).kind, 'retry');
    });
  }

  test('what is customary beside success is one', () => {
    const taken = ['{}', '{"partialSuccess":{}}', '{"partialSuccess":null}', '{"code":0,"text":"Success"}'];
    for (const body of [...taken, '{"code":200,"error":"","errors":[]}', '{"errors":false,"error":null}']) {
      assert.equal(judged(JSON_TYPE, body).kind, 'acknowledged', body);
    }
    const warned = judged(JSON_TYPE, '{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"slow"}}');
    assert.match(warned.kind === 'acknowledged' ? (warned.warning ?? '') : '', /slow/);
  });
});

test('no Retry-After, however large, holds records back for longer than minutes', () => {
  for (const header of ['999999999999', '9'.repeat(400), 'Fri, 31 Dec 9999 23:59:59 GMT']) {
    assert.equal(retryAfterMs(header, 0), RETRY_AFTER_MS_MAX, header);
  }
  for (const header of ['-5', '1e9', '0x10', '', 'soon', 'Mon, 01 Jan 1900 00:00:00 GMT', undefined]) {
    assert.equal(retryAfterMs(header, 0), undefined, header);
  }
});

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';
const NO = 'HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n';

/** A server that answers with these bytes: the first request, and each one after it. */
async function startRaw(t: TestContext, [first, rest]: readonly [(socket: Socket) => unknown, string]) {
  const sockets = new Set<Socket>();
  let requests = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (!bytes.includes('POST ')) return;
      requests += 1;
      if (requests === 1) first(socket);
      else socket.write(rest);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const agent = new Agent({ keepAlive: true });
  t.after(() => {
    agent.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return () =>
    sendOnce(Buffer.from('{}'), 5000, {
      url: `http://127.0.0.1:${port}/v1/logs`,
      headers: async () => ({ 'content-type': JSON_TYPE }),
      agent,
      compression: 'none',
      userAgent: 'test',
      timers: systemTimers,
    });
}

describe('an answer that nobody asked for', () => {
  const early: Readonly<Record<string, (socket: Socket) => unknown>> = {
    'with the one before': (socket) => socket.write(OK + OK),
    async 'after the one before'(socket) {
      socket.write(OK);
      await sleep(20);
      socket.write(OK);
    },
  };
  for (const [name, answer] of Object.entries(early)) {
    test(`that comes ${name} acknowledges nothing that is sent later`, async (t) => {
      const send = await startRaw(t, [answer, NO]);
      const options = { endpoint: 'e', nowMs: 0 };
      assert.equal(judge(await send(), options).kind, 'acknowledged');
      await sleep(60);
      assert.equal(judge(await send(), options).kind, 'retry');
    });
  }
});

describe('a destination that keeps less than it acknowledged', () => {
  let original: Original;
  /** All that was delivered, in order. */
  let bodies: readonly string[];
  before(async () => {
    original = await makeOriginal();
    const receiver = await startOtlpReceiver();
    const spool = await open(copyOf(original.directory), { url: receiver.url });
    await spool.stop(10_000);
    bodies = receiver.logs().map(({ body }) => String(body));
    await receiver.close();
  });

  const audit = (kept: readonly string[], ...more: string[]) => {
    const file = join(mkdtempSync(join(root, 'kept-')), 'bodies.jsonl');
    writeFileSync(file, kept.join('\n'));
    return verify(file, ...more);
  };
  const of = (stream: string): string[] =>
    bodies.filter((body) => body.includes(`"verdict.stream.id":"${stream}"`));

  test('has all of them, to begin with', () => {
    assert.deepEqual(
      [...original.bodies].filter((body) => !bodies.includes(body)),
      [],
    );
  });

  test('each single record that is dropped without a word is named', async () => {
    const { first, second } = original;
    const told = [of(first)[0], of(first)[60], of(first).at(-1), of(second)[0], of(second).at(-1)];
    for (const dropped of told) {
      const { exit, out } = await audit(bodies.filter((body) => body !== dropped));
      assert.equal(exit, 1, dropped);
      const [, stream = ''] = /"verdict.stream.id":"([^"]*)"/.exec(dropped ?? '') ?? [];
      assert.match(out, new RegExp(`! ${stream} ${sequenceOf(dropped ?? '')}: missing`), out);
    }
  });

  test('a whole stream that is dropped is named by the one that took it over', async () => {
    const { first, second } = original;
    for (const dropped of [first, second]) {
      const { exit, out } = await audit(bodies.filter((body) => !of(dropped).includes(body)));
      assert.equal(exit, 1);
      assert.match(out, new RegExp(`! ${dropped} .*no record of this stream is here`), out);
    }
  });

  test('a record of doctor does not stand for a stream that is dropped', async () => {
    const { first } = original;
    const [start = ''] = of(first);
    const members = { ...JSON.parse(start), 'verdict.lifecycle.state': 'doctor' } as Record<string, unknown>;
    delete members['verdict.lifecycle.adopted'];
    assert.equal(members['verdict.stream.previous_hash'], ZERO_HASH);
    const rest = bodies.filter((body) => !of(first).includes(body));
    const { exit, out } = await audit([JSON.stringify(members), ...rest]);
    assert.equal(exit, 1);
    assert.match(out, new RegExp(`! ${first} `), out);
  });

  test('what an exporter with effects was given is never all proven, whatever part is asked for', async () => {
    const chosen = bodies.filter(selectEffects(['deny']));
    assert.ok(chosen.length > 0 && chosen.length < bodies.length);
    const whole = await audit(chosen);
    assert.equal(whole.exit, 1);
    assert.match(whole.out, /where records are filtered nothing can be proven/);
    assert.doesNotMatch(whole.out, /records replay/, 'nothing is to be healed where nothing was lost');
    for (const more of [
      ['--from', 'any'],
      ['--from', 'any', '--stream', original.first],
      ['--from', 'any', '--to', '20', '--stream', original.first],
    ]) {
      const { exit, out } = await audit(chosen, ...more);
      assert.equal(exit, 1, `${more.join(' ')}\n${out}`);
    }
  });
});
