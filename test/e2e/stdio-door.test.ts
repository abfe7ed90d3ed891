import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { VerdictError } from '../../src/errors.ts';
import { childEnvironment } from '../../src/proxy/stdio/child.ts';
import type { PeerEnd } from '../../src/proxy/stdio/peer.ts';
import { type ChildDoorOptions, runChildDoor } from '../support/child-door.ts';
import {
  Client,
  type ScriptedGate,
  ORIGIN,
  SCRIPTED_SERVER,
  call,
  notes,
  scriptedGate,
} from '../support/stdio-fixtures.ts';

function open(client: Client, gate: ScriptedGate, options: Partial<ChildDoorOptions> = {}): Promise<PeerEnd> {
  return runChildDoor({
    gate,
    command: process.execPath,
    args: [SCRIPTED_SERVER],
    env: process.env,
    stdin: client.stdin,
    stdout: client.stdout,
    stderr: client.stderr,
    origin: (claimed) => ({ ...ORIGIN, claimed }),
    diagnostics: notes(),
    ...options,
  });
}

const text = (got: readonly string[]): string => got.map((line) => `${line}\n`).join('');

test('bytes in are bytes out through a real child, both ways, and what is denied does not reach it', async () => {
  const argument = fc.oneof(
    fc.constantFrom('1e400', '9007199254740993', '"\\u0061"', '"€😀 "'),
    fc.string().map((value) => JSON.stringify(value)),
  );
  const sent = fc
    .sample(fc.tuple(fc.boolean(), argument, fc.constantFrom('', ' ', '\t')), { numRuns: 200, seed: 7 })
    .map(
      ([bad, value, space], at) =>
        `${space}{"id":${at},${space}"method":"tools/call","jsonrpc":"2.0","params":{"name":"${bad ? 'bad' : 'ok'}","arguments":{"v":${value}}}}${space}${at % 2 === 0 ? '' : '\r'}\n`,
    );
  const passed = sent.filter((line) => line.includes('"name":"ok"'));
  const client = new Client();
  const out: Buffer[] = [];
  client.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  const gate = scriptedGate(async ({ message, direction }) => {
    // Decisions come back in another order than they were asked for.
    if (message.kind === 'request' && Number(message.id.text) % 3 === 0)
      await new Promise((resolve) => setImmediate(resolve));
    return direction === 'to_client' || message.call.tool === 'ok';
  });
  // cat sends back every request that reaches it, as a request of its own.
  const ended = open(client, gate, { command: 'cat', args: [] });
  const bytes = Buffer.from(sent.join(''));
  for (let at = 0; at < bytes.length; at += 777) client.stdin.write(bytes.subarray(at, at + 777));
  client.stdin.end();
  assert.deepEqual(await ended, { code: 0 });
  const lines = Buffer.concat(out).toString().split('\n').slice(0, -1);
  assert.deepEqual(
    lines.filter((line) => line.includes('"method"')).map((line) => `${line}\n`),
    passed,
  );
  assert.equal(lines.filter((line) => line.includes('"message":"no"')).length, sent.length - passed.length);
  // And cat answers nothing, so that each call is answered at its end.
  assert.equal(lines.filter((line) => line.includes('broke off')).length, passed.length);
  assert.equal(lines.length, sent.length + passed.length);
});

test('the child gets exactly the bytes of what is allowed, and the client only protocol lines', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'stdio-door-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const log = join(directory, 'stdin');
  const client = new Client();
  const errors: string[] = [];
  client.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  const diagnostics = notes();
  const ended = open(
    client,
    scriptedGate(({ message }) => message.call.tool !== 'bad'),
    {
      env: { ...process.env, SCRIPT_LOG: log },
      diagnostics,
    },
  );
  const odd =
    ' {"jsonrpc":"2.0" ,"id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"h\\u00e9"}}}\r\n';
  client.send(call(1, 'noise'), odd, call(3, 'bad'), { method: 'notifications/initialized' });
  for (const id of [1, 2, 3]) await client.line(`"id":${id}`);
  client.stdin.end();
  assert.deepEqual(await ended, { code: 0 });
  assert.equal(
    readFileSync(log, 'utf8'),
    `{"jsonrpc":"2.0",${JSON.stringify(call(1, 'noise')).slice(1)}\n${odd}{"jsonrpc":"2.0","method":"notifications/initialized"}\n`,
  );
  for (const line of client.got) assert.equal((JSON.parse(line) as { jsonrpc: string }).jsonrpc, '2.0');
  assert.match(text(client.got), /"text":"hé"/);
  assert.deepEqual(errors.join(''), 'a word on stderr\n');
  assert.match(diagnostics.lines.join(), /Listening on stdio!/);
});

test('a request of the server is asked of the client, or refused to the server', async () => {
  for (const allowed of [true, false]) {
    const client = new Client();
    const gate = scriptedGate(({ direction }) => direction === 'to_upstream' || allowed);
    const ended = open(client, gate);
    client.send(call(1, 'ask'));
    if (allowed) {
      await client.line('sampling/createMessage');
      client.send({
        id: 'ask-1',
        result: { role: 'assistant', content: { type: 'text', text: 'x' }, model: 'm' },
      });
    }
    await client.line(allowed ? '"text":"answered"' : '"text":"refused"');
    client.stdin.end();
    await ended;
    assert.equal(
      client.got.some((line) => line.includes('sampling')),
      allowed,
    );
    assert.deepEqual(gate.settled.sort(), allowed ? ['"ask-1" ok', '1 ok'] : ['1 ok']);
  }
});

test('when the child dies in the middle of a call, the call is settled and answered, and its exit code is ours', async () => {
  const client = new Client();
  const gate = scriptedGate();
  const ended = open(client, gate);
  client.send(call('a', 'hang'), call('b', 'exit', { code: '42' }));
  assert.deepEqual(await ended, { code: 42 });
  assert.deepEqual(gate.settled.sort(), ['"a" transport_error child_exit', '"b" transport_error child_exit']);
  for (const id of ['a', 'b']) assert.match(await client.line(`"id":"${id}"`), /files.*exited with code 42/);
});

test('a child that is killed is told as a signal', async () => {
  const client = new Client();
  const ended = open(client, scriptedGate(), { command: 'sh', args: ['-c', 'kill -9 $$'] });
  assert.deepEqual(await ended, { code: null, signal: 'SIGKILL' });
});

const UNSTARTABLE: readonly (readonly [string, Partial<ChildDoorOptions>])[] = [
  ['does not exist', { command: '/nowhere/at-all' }],
  ['is no program', { command: tmpdir() }],
  ['has a NUL in an argument', { command: 'cat', args: ['a\0b'] }],
  ['has no folder to run in', { command: 'cat', args: [], cwd: '/nowhere/at-all' }],
];
for (const [title, options] of UNSTARTABLE) {
  test(`a command that ${title} is an error that names it`, async () => {
    await assert.rejects(open(new Client(), scriptedGate(), options), (error) => {
      assert.ok(error instanceof VerdictError);
      assert.equal(error.code, 'command_failed');
      assert.match(error.message, new RegExp(options.command ?? ''));
      return true;
    });
  });
}

test('a limit out of range is refused before anything is started', async () => {
  for (const name of [
    'lineBytesMax',
    'pendingMax',
    'pendingBytesMax',
    'openMax',
    'exitGraceMs',
    'termGraceMs',
  ]) {
    await assert.rejects(open(new Client(), scriptedGate(), { limits: { [name]: 0 } }), {
      code: 'config_invalid',
    });
  }
});

test('lines up to lineBytesMax pass both ways, longer ones neither', async () => {
  const client = new Client();
  const gate = scriptedGate();
  const long = (id: number, bytes: number): string => {
    const head = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"`;
    return `${head}${'x'.repeat(bytes - head.length - 3)}"}}\n`;
  };
  const ended = open(client, gate, { command: 'cat', args: [], limits: { lineBytesMax: 200_000 } });
  client.send(long(1, 200_000), long(2, 200_001), long(3, 300));
  client.stdin.end();
  await ended;
  assert.deepEqual(
    gate.rejected.map(({ code }) => code),
    ['parse_size'],
  );
  assert.deepEqual(
    client.got.filter((line) => line.includes('method')).map((line) => line.length),
    [200_000, 300],
  );
});

test('with undecided lines waiting, a door reads no further until there is room', async () => {
  const client = new Client();
  const held = Promise.withResolvers<boolean>();
  const paused = Promise.withResolvers<void>();
  client.stdin.once('pause', () => paused.resolve());
  const gate = scriptedGate(({ direction }) => direction === 'to_client' || held.promise);
  const ended = open(client, gate, { command: 'cat', args: [], limits: { pendingMax: 4 } });
  for (let id = 0; id < 20; id += 1) client.send(call(id, 'x'));
  client.stdin.end();
  await paused.promise;
  assert.equal(gate.asked.length, 4);
  held.resolve(true);
  await ended;
  assert.equal(client.got.filter((line) => line.includes('"method"')).length, 20);
});

test('what is for our eyes only does not reach the child', () => {
  const env = {
    PATH: '/bin',
    GITHUB_TOKEN: 'x',
    OTEL_SERVICE_NAME: 's',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318',
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT:
      'https://user:secret@collector.example:4318/v1/logs?token=secret#secret',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'user:secret@nowhere',
    otel_exporter_otlp_metrics_endpoint: ' https://secret@collector.example/v1/metrics ',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=x',
    OTEL_EXPORTER_OTLP_LOGS_HEADERS: 'authorization=x',
    OTEL_EXPORTER_OTLP_CLIENT_KEY: '/key.pem',
    MCP_VERDICT_HMAC_KEY: 'k',
    mcp_verdict_other: 'k',
    UNSET: undefined,
  };
  assert.deepEqual(childEnvironment(env), {
    PATH: '/bin',
    GITHUB_TOKEN: 'x',
    OTEL_SERVICE_NAME: 's',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318',
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'https://collector.example:4318/v1/logs',
    otel_exporter_otlp_metrics_endpoint: 'https://collector.example/v1/metrics',
  });
});
