/** The kill switch as an operator throws it: with the command line, at running proxies. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, test, type TestContext } from 'node:test';
import { runCli, startCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { callTool, startEvents } from '../support/http-scene.ts';
import {
  keysText,
  newKey,
  policyText,
  recordsNamed,
  recordsOf,
  startReloadScene,
  type Body,
  type ReloadScene,
  type ReloadSceneOptions,
} from '../support/reload-scene.ts';
import { SCRIPTED_SERVER } from '../support/stdio-fixtures.ts';

interface Killable extends ReloadScene {
  /** Runs `kill` on the proxy's own switch. */
  readonly kill: (...args: readonly string[]) => Promise<string>;
}

/** A proxy whose switch is a file of its own: the default one is that of all tests. */
async function scene(t: TestContext, options: ReloadSceneOptions = {}): Promise<Killable> {
  const opened = await startReloadScene({
    ...options,
    config: { kill_switch: 'kill.json', ...options.config },
  });
  t.after(() => opened.close());
  return {
    ...opened,
    async kill(...args) {
      const { code, stdout, stderr } = await runCli(['kill', ...args, '--file', 'kill.json'], {
        cwd: opened.directory,
      });
      assert.equal(code, 0, stderr);
      return stdout;
    },
  };
}

const [ALICE, BOB] = [newKey('alice'), newKey('bob')];
const KEYS = {
  config: { identity: { api_keys: 'keys.yaml' } },
  files: { 'keys.yaml': keysText(ALICE, BOB) },
} as const;

const switchStates = (records: readonly Body[]): unknown[][] =>
  recordsNamed(
    records,
    'verdict.lifecycle',
    'verdict.lifecycle.state',
    'verdict.kill.scope',
    'verdict.kill.id',
  ).filter(([state]) => state === 'killed' || state === 'lifted');

/** An upstream that streams progress without end for the tool `slow`, and answers every other call at once. */
function streaming(open: Set<ServerResponse>) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    void buffer(request).then((body) => {
      if (body.includes('"slow"')) {
        const emit = startEvents(response);
        emit({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 1 } });
        open.add(response);
        response.on('close', () => open.delete(response));
      } else {
        response.setHeader('content-type', 'application/json');
        response.end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
      }
    });
  };
}

describe('a kill of one caller', () => {
  test('ends its call in the middle of the stream, refuses the next ones, and leaves others alone, until it is lifted', async (t) => {
    const open = new Set<ServerResponse>();
    const { url, put, kill, call, says, stop } = await scene(t, { ...KEYS, upstream: streaming(open) });
    put('policy.yaml', policyText('2', ['echo', 'slow']));
    await says(/reloaded: policy/);
    const stream = (key: typeof ALICE) =>
      fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${key.key}`,
        },
        body: callTool(1, 'slow'),
      });
    const [alice, bob] = await Promise.all([stream(ALICE), stream(BOB)]);
    const text = alice.text();
    let bobEnded = false;
    void bob.text().then(
      () => (bobEnded = true),
      () => {},
    );
    await eventually('both calls at the upstream', () => open.size === 2);

    const said = await kill('--user', 'alice', '--reason', 'stolen laptop', '--for', '1h');
    assert.match(said, /Stopped the user alice until /);
    assert.match(
      await text,
      /notifications\/progress[^]*"id":1,"error":\{"code":-31403,"message":"The kill switch is thrown for the user alice: stolen laptop\./,
    );
    await eventually('the end of one call at the upstream', () => open.size === 1);
    assert.deepEqual(await call({ key: ALICE }), { status: 200, allowed: false });
    assert.equal((await call({ key: BOB })).allowed, true);
    assert.equal(bobEnded, false);

    await kill('lift', '--user', 'alice');
    await says(/the kill switch is lifted for the user alice/);
    assert.equal((await call({ key: ALICE })).allowed, true);
    for (const response of open) response.end();
    const records = await stop();
    assert.deepEqual(switchStates(records), [
      ['killed', 'user', 'alice'],
      ['lifted', 'user', 'alice'],
    ]);
    const [thrown] = records.filter((record) => record['verdict.lifecycle.state'] === 'killed');
    assert.equal(thrown?.['verdict.kill.reason'], 'stolen laptop');
    assert.equal(typeof thrown?.['verdict.kill.by'], 'string');
    const outcomes = recordsNamed(records, 'verdict.outcome', 'verdict.outcome.status', 'error.type');
    assert.deepEqual(
      outcomes.filter(([status]) => status === 'cancelled'),
      [['cancelled', 'killed']],
    );
    const killed = recordsNamed(
      records,
      'verdict.decision',
      'verdict.decision.reason',
      'user.id',
      'verdict.decision.effect',
    ).filter(([reason]) => reason === 'killed');
    assert.deepEqual(killed, [['killed', 'alice', 'deny']]);
  });

  test('by agent and by key: whoever else they may be', async (t) => {
    const { kill, call, says } = await scene(t, KEYS);
    await kill('--agent', 'alice-bot');
    await says(/thrown for the agent alice-bot/);
    assert.deepEqual(
      [(await call({ key: ALICE })).allowed, (await call({ key: BOB })).allowed],
      [false, true],
    );
    await kill('lift', '--agent', 'alice-bot');
    await says(/lifted for the agent alice-bot/);
    const { id } = BOB.entry as { id: string };
    await kill('--key', id);
    await says(/thrown for the API key/);
    assert.deepEqual(
      [(await call({ key: ALICE })).allowed, (await call({ key: BOB })).allowed],
      [true, false],
    );
  });
});

describe('a kill of a server, and of all', () => {
  test('refuses what is left of them, and readyz says so while the proxy stays ready', async (t) => {
    const admin = await freePort();
    const up = 'http://127.0.0.1:1/mcp';
    const { kill, call, says, url } = await scene(t, {
      config: { admin: { listen: `127.0.0.1:${admin}` } },
    });
    const ready = async () => {
      const response = await fetch(`http://127.0.0.1:${admin}/readyz`);
      return { status: response.status, killed: ((await response.json()) as { killed: unknown }).killed };
    };
    assert.deepEqual(await ready(), { status: 200, killed: [] });
    await kill('--server', 'other', '--server', 'up');
    await says(/thrown for the server up/);
    assert.equal((await call()).allowed, false);
    assert.deepEqual(await ready(), { status: 200, killed: ['the server other', 'the server up'] });
    await kill('lift', '--server', 'up');
    await says(/lifted for the server up/);
    assert.equal((await call()).allowed, true, up);
    await kill('--all');
    await says(/thrown for everything/);
    for (const method of ['GET', 'DELETE']) assert.equal((await fetch(url, { method })).status, 403);
    const response = JSON.stringify({ jsonrpc: '2.0', id: 1, result: {} });
    assert.equal((await fetch(url, { method: 'POST', body: response })).status, 403);
  });

  test('is in force when the proxy starts', async (t) => {
    const text = '{"apiVersion": "mcp-verdict/v1", "kind": "KillSwitch", "kills": [{"all": true}]}';
    const { call, stop } = await scene(t, { files: { 'kill.json': text } });
    assert.equal((await call()).allowed, false);
    const records = await stop();
    assert.deepEqual(
      recordsNamed(records, 'verdict.lifecycle', 'verdict.lifecycle.state').flat().slice(0, 2),
      ['start', 'killed'],
    );
  });
});

test('a switch that cannot be read stops everything, and doctor and kill say how to mend it', async (t) => {
  const { directory, put, kill, call, says, stop } = await scene(t);
  put('kill.json', '{"kills": [');
  await says(/error the kill switch is thrown for everything: .*kill\.json:1:\d+ /);
  assert.equal((await call()).allowed, false);
  const doctor = await runCli(['doctor', '--config', 'verdict.yaml'], { cwd: directory });
  assert.match(
    doctor.stdout,
    /^fail {2}kill +kill\.json: .*kill\.json:1:\d+ .*\. Everything is refused until it can be read/m,
  );
  const { code, stderr } = await runCli(['kill', 'list', '--file', 'kill.json'], { cwd: directory });
  assert.equal(code, 3);
  assert.match(stderr, /proxies refuse everything/);
  rmSync(join(directory, 'kill.json'));
  await says(/the kill switch is lifted for everything/);
  assert.equal((await call()).allowed, true);
  await kill('--server', 'elsewhere');
  const warned = await runCli(['doctor', '--config', 'verdict.yaml'], { cwd: directory });
  assert.match(
    warned.stdout,
    /^warn {2}kill +kill\.json: the kill switch is thrown for the server elsewhere/m,
  );
  assert.deepEqual(switchStates(await stop()), [
    ['killed', 'all', undefined],
    ['lifted', 'all', undefined],
    ['killed', 'server', 'elsewhere'],
  ]);
});

test('eight operators at once stop eight servers, and all eight are in the file', async (t) => {
  const { directory } = await scene(t);
  const names = Array.from({ length: 8 }, (_, index) => `s${index}`);
  const env = { XDG_STATE_HOME: directory };
  const runs = await Promise.all(
    names.map((name) => runCli(['kill', '--server', name], { cwd: directory, env })),
  );
  assert.deepEqual(
    runs.map(({ code }) => code),
    names.map(() => 0),
    runs.map(({ stderr }) => stderr).join(''),
  );
  const { stdout } = await runCli(['kill', 'list', '--json'], { cwd: directory, env });
  const { kills } = JSON.parse(stdout) as { kills: { id: string }[] };
  assert.deepEqual(new Set(kills.map(({ id }) => id)), new Set(names));
});

test('wrap refuses everything while it is killed, lives on, and serves again; the switch is that of its user', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-wrap-kill-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'p.yaml'), policyText('1', ['echo', 'hang']));
  const env = { XDG_STATE_HOME: join(directory, 'state') };
  const proxy = startCli(
    [
      'wrap',
      '--policy',
      'p.yaml',
      '--server',
      'up',
      '--agent',
      'bot',
      '--spool',
      'spool',
      '--',
      process.execPath,
      SCRIPTED_SERVER,
    ],
    { cwd: directory, env },
  );
  t.after(() => proxy.stop('SIGKILL'));
  const kill = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await runCli(['kill', ...args], { cwd: directory, env });
    assert.equal(code, 0, stderr);
  };
  let id = 0;
  const send = (tool: string): number => {
    id += 1;
    proxy.child.stdin.write(`${callTool(id, tool, { text: 'hello' })}\n`);
    return id;
  };
  const answerTo = async (wanted: number): Promise<string> =>
    (await proxy.waitFor(new RegExp(`.*"id":${wanted}\\b.*`)))[0];
  assert.match(await answerTo(send('echo')), /"text":"hello"/);
  const hanging = send('hang');
  await kill('--agent', 'bot', '--reason', 'drill');
  assert.match(
    await answerTo(hanging),
    /"error":\{"code":-31403,"message":"The kill switch is thrown for the agent bot: drill\./,
  );
  assert.match(await answerTo(send('echo')), /"isError":true.*"reason":"killed"/);
  proxy.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 90, method: 'ping' })}\n`);
  assert.match(await answerTo(90), /"error".*kill switch/);
  await kill('lift', '--agent', 'bot');
  await proxy.waitFor(/the kill switch is lifted for the agent bot/);
  assert.match(await answerTo(send('echo')), /"text":"hello"/);
  proxy.child.stdin.end();
  await proxy.ended;
  const records = await recordsOf(directory);
  assert.deepEqual(switchStates(records), [
    ['killed', 'agent', 'bot'],
    ['lifted', 'agent', 'bot'],
  ]);
  const reasons = recordsNamed(records, 'verdict.decision', 'verdict.decision.reason', 'mcp.method.name');
  assert.deepEqual(
    reasons.filter(([reason]) => reason === 'killed'),
    [
      ['killed', 'tools/call'],
      ['killed', 'ping'],
    ],
  );
  const outcomes = recordsNamed(records, 'verdict.outcome', 'verdict.outcome.status', 'error.type');
  assert.deepEqual(outcomes, [
    ['ok', undefined],
    ['cancelled', 'killed'],
    ['ok', undefined],
  ]);
});
