/**
 * The routine after a loss behind the collector: `verify` over the destination's own data names the hole and prints the
 * command that heals it, the command is run as it stands, and `verify` passes.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { runCli, startCli } from '../support/cli.ts';
import { FILE_CONFIGS, startCollector, type Collector } from '../support/collector.ts';
import { toolCall } from '../support/hostile-arguments.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;
const CALLS = 8;

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, tools: ["up/*"]}
`;

const SERVER = `
  process.stdin.on('data', () => console.log('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'));
  process.stdin.on('end', () => process.exit(0));
`;

const COMMAND = /^ {2}mcp-verdict (records replay --stream \S+ --from (\d+) --to (\d+) --exporter otlp)$/gm;

describe('a hole at a destination is healed', { skip: skipWithoutCollector(), timeout: TIMEOUT_MS }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-replay-'));
  const state = join(directory, 'state');
  const spool = join(state, 'mcp-verdict', 'spool');
  const file = join(directory, 'collector', 'records', 'logs.jsonl');
  let collector: Collector;
  let env: Record<string, string>;
  /** The destination's lines before anything was cut out: an export request each. */
  let whole: string[];
  let key: string;

  const run = (args: readonly string[]) => runCli(args, { env, cwd: directory });
  const verify = (...args: string[]) => run(['records', 'verify', file, '--key', key, ...args]);
  /** Takes lines out of the file, as a destination that has lost requests; the collector appends behind the rest. */
  const cut = async (lines: readonly number[]): Promise<void> => {
    await collector.stop();
    writeFileSync(
      file,
      whole
        .filter((_, at) => !lines.includes(at))
        .map((line) => `${line}\n`)
        .join(''),
    );
    collector = await startCollector({ dir: join(directory, 'collector'), ports: collector.ports });
  };

  before(async () => {
    collector = await startCollector({ dir: join(directory, 'collector'), configs: FILE_CONFIGS });
    env = { XDG_STATE_HOME: state, OTEL_EXPORTER_OTLP_ENDPOINT: collector.httpEndpoint };
    writeFileSync(join(directory, 'policy.yaml'), POLICY);
    const wrap = startCli(
      ['wrap', '--policy', 'policy.yaml', '--server', 'up', '--', process.execPath, '-e', SERVER],
      { env, cwd: directory },
    );
    // One by one, so that they arrive in requests of their own.
    for (let call = 1; call <= CALLS; call += 1) {
      wrap.child.stdin.write(`${toolCall('{}')}\n`);
      await collector.waitFor(({ logs }) => logs.length >= 1 + 2 * call, { what: `call ${call}` });
    }
    wrap.child.stdin.end();
    assert.equal((await wrap.ended).code, 0, wrap.stderr());
    whole = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.ok(whole.length >= CALLS, 'so that some can be cut out');
    const start = collector.logs().find(({ attributes }) => 'verdict.lifecycle.public_key' in attributes);
    const announced = start?.attributes['verdict.lifecycle.public_key'];
    assert.ok(typeof announced === 'string');
    key = announced;
  });

  after(async () => {
    await collector?.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  test('verify names what is missing, its commands send it again as they stand, and verify passes', async () => {
    assert.equal((await verify()).code, 0, (await verify()).stdout);
    // Two holes, and the last request: the end is named by nobody then, but for what was signed.
    await cut([2, 3, 6]);
    const found = await verify();
    assert.equal(found.code, 1, found.stdout);
    const commands = [...found.stdout.matchAll(COMMAND)];
    assert.equal(commands.length, 2, found.stdout);
    for (const [, command = '', from, to] of commands) {
      assert.match(found.stdout, new RegExp(`! \\S+ ${from === to ? from : `${from} to ${to}`}: missing`));
      const replayed = await run(command.split(' '));
      assert.equal(replayed.code, 0, replayed.stderr);
      const count = Number(to) - Number(from) + 1;
      assert.match(
        replayed.stdout,
        new RegExp(`^${count} records? were sent again to \\S+ and acknowledged`),
      );
    }
    const healed = await verify();
    assert.equal(healed.code, 0, healed.stdout);
    assert.match(healed.stdout, /^All proven: \d+ records in 1 stream\.$/m);
    assert.doesNotMatch(healed.stdout, /records replay/);
  });

  test('an endpoint of verdict.yaml is named by its exporter, and the spool is that of the file', async () => {
    await cut([4]);
    const [, command = ''] = [...(await verify()).stdout.matchAll(COMMAND)][0] ?? [];
    writeFileSync(
      join(directory, 'verdict.yaml'),
      `policy: [policy.yaml]\nservers: {up: {url: "http://127.0.0.1:1/mcp"}}\nidentity: {anonymous: allow}\n` +
        `spool: {directory: ${spool}}\n` +
        `exporters: {otlp: {endpoints: {archive: {url: "${collector.httpEndpoint}/v1/logs"}}}}\n`,
    );
    env = { XDG_STATE_HOME: join(directory, 'another') };
    const named = command.replace('--exporter otlp', '--exporter archive --config verdict.yaml').split(' ');
    const replayed = await run(named);
    assert.equal(replayed.code, 0, replayed.stderr);
    assert.equal((await verify()).code, 0);
    env = { XDG_STATE_HOME: state, OTEL_EXPORTER_OTLP_ENDPOINT: collector.httpEndpoint };
  });

  test('what is not kept any more is named, with where else to look', async () => {
    await cut([2]);
    const [, command = ''] = [...(await verify()).stdout.matchAll(COMMAND)][0] ?? [];
    for (const stream of readdirSync(spool)) rmSync(join(spool, stream), { recursive: true });
    const replayed = await run(command.split(' '));
    assert.equal(replayed.code, 1);
    assert.match(replayed.stdout, /^Nothing was sent to /);
    assert.match(replayed.stderr, /^\S+spool holds no stream [0-9a-f-]{36}\n/);
    assert.match(replayed.stderr, /frees what was acknowledged after spool\.keep/);
  });
});
