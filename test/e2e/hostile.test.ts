/**
 * What a hostile agent sends: nothing of it may reach the upstream undecided, break the call's answer, lose the
 * record, or poison the batch that the record travels in.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { errorText } from '../../src/errors.ts';
import { startCli, type Running } from '../support/cli.ts';
import { checkChains } from '../support/chain.ts';
import {
  ACCEPTED_ARGUMENTS,
  INVALID_UTF8,
  REFUSED_MESSAGES,
  toolCall,
} from '../support/hostile-arguments.ts';
import { SCRIPTED_SERVER } from '../support/stdio-fixtures.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../support/otlp-receiver.ts';

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, identities: [anonymous], tools: ["up/echo*"]}
`;

describe('hostile messages over HTTP', () => {
  const seen: Buffer[] = [];
  let directory: string;
  let upstream: Server;
  let receiver: OtlpReceiver;
  let proxy: Running;
  let url: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-hostile-'));
    upstream = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push(Buffer.concat(chunks));
        response.setHeader('content-type', 'application/json');
        response.end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
      });
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    receiver = await startOtlpReceiver();
    writeFileSync(join(directory, 'policy.yaml'), POLICY);
    writeFileSync(
      join(directory, 'verdict.yaml'),
      `listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\nkeys: {directory: keys}\n` +
        `servers: {up: {url: "http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp"}}\n`,
    );
    proxy = startCli(['serve', '--config', join(directory, 'verdict.yaml')], {
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BLRP_SCHEDULE_DELAY: '20' },
    });
    url = (await proxy.waitFor(/serving up at (\S+)/))[1]!;
  });

  after(async () => {
    await proxy?.stop('SIGKILL');
    upstream?.closeAllConnections();
    upstream?.close();
    await receiver?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const traces = new Map<string, string>();
  const post = async (
    what: string,
    body: string | Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ status: number; text: string }> => {
    const traceId = randomBytes(16).toString('hex');
    traces.set(what, traceId);
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        traceparent: `00-${traceId}-${'1'.repeat(16)}-01`,
        ...headers,
      },
      body,
    });
    return { status: response.status, text: await response.text() };
  };

  for (const [what, args] of ACCEPTED_ARGUMENTS) {
    test(`${what}: the call is made with the very bytes that were judged`, async () => {
      const body = toolCall(args);
      seen.length = 0;
      assert.equal((await post(what, body)).status, 200);
      assert.deepEqual(seen.map(String), [body]);
    });
  }

  for (const [what, body] of REFUSED_MESSAGES) {
    test(`${what}: refused, and the upstream sees nothing`, async () => {
      seen.length = 0;
      const { status, text } = await post(what, body);
      assert.equal(status, 400);
      assert.match(text, /"error":\{"code":-32/);
      assert.deepEqual(seen, []);
    });
  }

  test('invalid UTF-8, which parsers repair in different ways: refused', async () => {
    seen.length = 0;
    assert.equal((await post('utf8', INVALID_UTF8)).status, 400);
    assert.deepEqual(seen, []);
  });

  test('what is forwarded is what was sent, byte for byte, for any spacing, escapes, numbers and key order', async () => {
    const space = fc.stringMatching(/^[ \t\n\r]{0,3}$/);
    const scalar = fc.oneof(
      fc.constantFrom('1', '1.0', '1e2', '-0', '9007199254740993', '0.1e-7', 'true', 'null'),
      fc.string({ maxLength: 8 }).map((text) => JSON.stringify(text).replace('/', '\\/')),
      fc.constant('"\\u00e9\\u0041"'),
    );
    const member = fc
      .tuple(fc.uuid(), space, scalar, space)
      .map(([key, a, value, b]) => `${a}"${key}"${b}:${a}${value}${b}`);
    const args = fc.array(member, { maxLength: 6 }).map((members) => `{${members.join(',')}}`);
    await fc.assert(
      fc.asyncProperty(args, space, async (text, outer) => {
        const body = `${outer}${toolCall(text)}${outer}`;
        seen.length = 0;
        assert.equal((await post('property', body)).status, 200);
        assert.deepEqual(seen.map(String), [body]);
      }),
      { numRuns: 60 },
    );
  });

  test('a charset that the upstream would decode and we did not: refused', async () => {
    seen.length = 0;
    const type = 'application/json; charset=utf-7';
    assert.equal((await post('charset', toolCall('{}'), { 'content-type': type })).status, 415);
    assert.deepEqual(seen, []);
  });

  test('an answer to a request that nobody has made: dropped', async () => {
    seen.length = 0;
    const { status } = await post('unasked', '{"jsonrpc":"2.0","id":"srv-1","result":{}}');
    assert.equal(status, 202);
    assert.deepEqual(seen, []);
  });

  test('what is no HTTP, and a verb that nobody knows: answered', async () => {
    const { port } = new URL(url);
    for (const head of ['BREW /up/mcp HTTP/1.1', 'GET /up/mcp HTTP/9.9']) {
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(`${head}\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 40[05] [^]*"error"/);
    }
  });

  test('a stream is opened with a record of its own', async () => {
    const response = await fetch(url, { headers: { accept: 'text/event-stream', 'mcp-session-id': 's' } });
    await response.text();
    assert.equal(response.status, 200);
  });

  test('each of them has its record, whole, and no batch was lost', async () => {
    assert.equal((await proxy.stop()).code, 0, proxy.stderr());
    assert.doesNotMatch(proxy.stderr(), /LOST/);
    const logs = receiver.logs();
    assert.equal(checkChains(logs), 1);
    for (const [what, effect, reason] of [
      ...ACCEPTED_ARGUMENTS.map(([what]) => [what, 'allow', 'rule'] as const),
      ...REFUSED_MESSAGES.map(([what]) => [what, 'deny', 'parse'] as const),
      ['utf8', 'deny', 'parse'] as const,
      ['charset', 'deny', 'parse'] as const,
      ['unasked', 'deny', 'parse'] as const,
    ]) {
      const decisions = logs.filter(
        (log) => log.traceId === traces.get(what) && log.eventName === 'verdict.decision',
      );
      assert.equal(decisions.length, 1, what);
      assert.equal(decisions[0]?.attributes['verdict.decision.effect'], effect, what);
      assert.equal(decisions[0]?.attributes['verdict.decision.reason'], reason, what);
      assert.ok(
        String(decisions[0]?.body).length < 64_000,
        `${what}: a record of ${String(decisions[0]?.body).length}`,
      );
    }
    const messages = logs.map(({ attributes }) => String(attributes['verdict.decision.message']));
    assert.equal(messages.filter((text) => text === errorText('http_method')).length, 1);
    assert.equal(messages.filter((text) => text.startsWith('The HTTP request cannot be read')).length, 1);
    const methods = logs.map(({ attributes }) => attributes['mcp.method.name']);
    assert.equal(methods.filter((method) => method === 'transport/stream').length, 1);
  });
});

test('hostile lines over stdio: a call between two returns reaches no server, and its carrier is refused', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-hostile-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const log = join(directory, 'stdin');
  writeFileSync(join(directory, 'policy.yaml'), POLICY.replace('[anonymous]', '[authenticated]'));
  const wrap = ['wrap', '--policy', join(directory, 'policy.yaml'), '--server', 'up'];
  const keys = ['--keys-directory', join(directory, 'keys'), '--spool', join(directory, 'spool')];
  const proxy = startCli([...wrap, ...keys, '--', process.execPath, SCRIPTED_SERVER], {
    env: { SCRIPT_LOG: log },
  });
  const smuggled = toolCall('{"code":"7"}', '"exit"');
  proxy.child.stdin.write(`${toolCall(`{"text":"x","a":\r${smuggled}\r}`)}\n`);
  await proxy.waitFor(/"code":-32700/);
  proxy.child.stdin.end(`${toolCall('{"text":"good"}')}\n`);
  await proxy.waitFor(/"text":"good"/);
  assert.equal((await proxy.ended).code, 0);
  assert.equal(readFileSync(log, 'utf8'), `${toolCall('{"text":"good"}')}\n`);
});
