/**
 * Every vector of the corpus through HTTP in front of a server over stdio: what is forwarded arrives as it was sent, on
 * one line and under an id of ours where many share the process, and nothing else arrives. What is decided and recorded
 * is the door's, which the other test looks at.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startCli, type Running } from '../support/cli.ts';
import { toolCall } from '../support/hostile-arguments.ts';
import { send } from '../support/http-scene.ts';
import { readVectors, type Vector } from './vectors.ts';

const PROBE = toolCall('{}', '"probe"').replace('"id":1', '"id":"probe"');
const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}';
const ID = /("id"\s*:\s*)("[^"]*"|-?\d+)/;
/** Their session is one that the server has not begun, so it is the server that refuses them. */
const OF_OTHER_SESSIONS = new Set(['header/session-underscore', 'secret/session']);

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

let directory: string;
let proxy: Running;
let port: number;
let session: readonly string[];
let seen = 0;

const post = (body: string | Uint8Array, headers: readonly string[] = []) =>
  send(port, {
    path: '/up/mcp',
    headers: ['Accept', 'application/json, text/event-stream', ...headers],
    body,
  });

/** Lines that have reached the server since the last time. */
function arrived(): string[] {
  const all = readFileSync(join(directory, 'stdin'));
  const fresh = all.subarray(seen).toString('latin1');
  seen = all.length;
  return fresh.split('\n').filter((line) => line !== '' && line !== PROBE);
}

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-corpus-bridge-'));
  writeFileSync(join(directory, 'stdin'), '');
  const up = {
    command: process.execPath,
    args: [file('recording-server.ts')],
    env: { RECORDING_FILE: join(directory, 'stdin') },
  };
  writeFileSync(
    join(directory, 'verdict.yaml'),
    `listen: 127.0.0.1:0\npolicy: [${JSON.stringify(file('policy.yaml'))}]\nidentity: {anonymous: allow}\n` +
      `keys: {directory: keys}\nspool: {directory: spool}\nservers: ${JSON.stringify({ up })}\n`,
  );
  proxy = startCli(['serve', '--config', join(directory, 'verdict.yaml')]);
  const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
  port = Number(new URL(url).port);
  const { headers } = await post(INITIALIZE);
  session = ['Mcp-Session-Id', String(headers['mcp-session-id'])];
  assert.deepEqual(arrived(), [INITIALIZE]);
});

after(async () => {
  await proxy?.stop('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

for (const vector of readVectors().filter(({ transports }) => transports.includes('http'))) {
  test(`${vector.id}: ${vector.what}`, async () => {
    const { headers = [], message, expect } = vector;
    const named = headers.some(([name]) => name.toLowerCase() === 'mcp-session-id');
    await post(message, [...headers.flat(), ...(named ? [] : session)]);
    // Whatever came of the vector has come when this has.
    assert.equal((await post(PROBE, session)).status, 200);
    const lines = arrived();
    const goesOn = expect.is === 'forwarded' && !OF_OTHER_SESSIONS.has(vector.id);
    assert.deepEqual(lines, goesOn ? [lineOf(vector, lines[0])] : []);
  });
}

/** @param line that has arrived, for the id that the server has got */
function lineOf({ message, headers = [] }: Vector, line = ''): string {
  const text = Buffer.from(message)
    .toString('latin1')
    .replaceAll(/[\r\n]/g, ' ');
  const isModern = headers.some(
    ([name, value]) => name.toLowerCase() === 'mcp-protocol-version' && value === '2026-07-28',
  );
  return isModern ? text.replace(ID, `$1${ID.exec(line)?.[2] ?? ''}`) : text;
}
