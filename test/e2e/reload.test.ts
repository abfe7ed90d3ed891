/** Config, policy, keys and certificates that change under a running proxy, as editors and orchestrators change them. */
import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { callTool, startEvents } from '../support/http-scene.ts';
import { startCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
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

async function scene(t: TestContext, options: ReloadSceneOptions = {}): Promise<ReloadScene> {
  const opened = await startReloadScene(options);
  t.after(() => opened.close());
  return opened;
}

const lifecycle = (records: readonly Body[]): unknown[] =>
  recordsNamed(records, 'verdict.lifecycle', 'verdict.lifecycle.state').flat();

/** Asserts that each decision was made by the policy of the last start or reload before it. @returns how many there are */
function checkDigests(records: readonly Body[]): number {
  let inForce: unknown;
  let decisions = 0;
  for (const record of records) {
    const state = record['verdict.lifecycle.state'];
    const digest = record['verdict.policy.digest'];
    if (state === 'start' || state === 'reload') inForce = digest;
    if (record['event.name'] !== 'verdict.decision') continue;
    assert.equal(digest, inForce, `decision ${decisions} was not made by the policy in force`);
    decisions += 1;
  }
  return decisions;
}

describe('a policy that is edited', () => {
  test('under load: every call is decided once, by one version, and none is dropped', async (t) => {
    const { put, call, says, stop } = await scene(t);
    let running = true;
    let calls = 0;
    let allowed = 0;
    const callers = Array.from({ length: 8 }, async () => {
      while (running) {
        const answer = await call();
        assert.equal(answer.status, 200);
        calls += 1;
        if (answer.allowed) allowed += 1;
      }
    });
    const versions = ['2', '3', '4', '5', '6'];
    for (const version of versions) {
      put('policy.yaml', policyText(version, Number(version) % 2 === 0 ? ['other'] : ['echo']));
      await says(/reloaded: policy/);
    }
    running = false;
    await Promise.all(callers);
    const records = await stop();
    assert.equal(checkDigests(records), calls);
    assert.ok(allowed > 0 && allowed < calls, 'not every version was used');
    const outcomes = recordsNamed(records, 'verdict.outcome', 'verdict.outcome.status').flat();
    assert.deepEqual(outcomes, Array(allowed).fill('ok'));
    const reloads = recordsNamed(
      records.filter((record) => record['verdict.lifecycle.state'] === 'reload'),
      'verdict.lifecycle',
      'verdict.lifecycle.changed',
      'verdict.policy.name',
      'verdict.policy.version',
      'verdict.policy.file',
      'verdict.lifecycle.message',
    );
    assert.deepEqual(
      reloads,
      versions.map((version) => [
        ['policy'],
        'p',
        version,
        'policy.yaml',
        `The policy in force is p ${version} (policy.yaml).`,
      ]),
    );
  });

  test('into an invalid one changes nothing, is recorded once, and the next good one is taken', async (t) => {
    const { put, call, says, stop } = await scene(t);
    put('policy.yaml', `${policyText('2', [])}\nefect: deny\n`);
    await says(/error not reloaded, what was in force stays in force: policy\.yaml:\d+:\d+ /);
    assert.equal((await call()).allowed, true);
    // Longer than several looks take.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    put('policy.yaml', policyText('3', []));
    await says(/reloaded: policy/);
    assert.equal((await call()).allowed, false);
    const records = await stop();
    assert.deepEqual(lifecycle(records), ['start', 'reload_failed', 'reload', 'stop']);
    checkDigests(records);
    const [failed] = recordsNamed(
      records.filter((record) => record['verdict.lifecycle.state'] === 'reload_failed'),
      'verdict.lifecycle',
      'verdict.lifecycle.message',
      'severity.number',
    );
    assert.match(String(failed?.[0]), /^policy\.yaml:\d+:\d+ /);
    assert.equal(failed?.[1], 17);
  });

  test('as Kubernetes does it, by one link to a directory of all files, is taken as one change', async (t) => {
    const mounted = mkdtempSync(join(tmpdir(), 'mcp-verdict-mount-'));
    t.after(() => rmSync(mounted, { recursive: true }));
    const turn = (name: string, tools: readonly [string, string]): void => {
      mkdirSync(join(mounted, name));
      for (const [index, tool] of tools.entries()) {
        const text = policyText(name, [tool]).replaceAll('use-', `use-${index}-`);
        writeFileSync(join(mounted, name, `${index}.yaml`), text);
      }
      symlinkSync(name, join(mounted, '..data_tmp'));
      renameSync(join(mounted, '..data_tmp'), join(mounted, '..data'));
    };
    turn('v1', ['echo', 'a']);
    for (const index of [0, 1]) symlinkSync(`..data/${index}.yaml`, join(mounted, `${index}.yaml`));
    const { call, says, stop } = await scene(t, {
      config: { policy: [join(mounted, '0.yaml'), join(mounted, '1.yaml')] },
    });
    assert.deepEqual(
      [(await call({ tool: 'echo' })).allowed, (await call({ tool: 'b' })).allowed],
      [true, false],
    );
    turn('v2', ['c', 'b']);
    await says(/reloaded: policy/);
    assert.deepEqual(
      [(await call({ tool: 'echo' })).allowed, (await call({ tool: 'b' })).allowed],
      [false, true],
    );
    const records = await stop();
    assert.deepEqual(lifecycle(records), ['start', 'reload', 'stop']);
    assert.equal(checkDigests(records), 4);
  });
});

test('who reads lists is told when another policy is in force', async (t) => {
  const session = { 'mcp-session-id': 's1' };
  const { url, put } = await scene(t, {
    upstream: (request, response) => {
      if (request.method === 'GET') startEvents(response);
      else {
        request.resume();
        const result = {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {} },
          serverInfo: { name: 'x', version: '1' },
        };
        response.writeHead(200, { 'content-type': 'application/json', ...session });
        response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
      }
    },
  });
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
  });
  assert.match(await answer.text(), /"tools":\{"listChanged":true\}/);
  const stream = await fetch(url, { headers: { accept: 'text/event-stream', ...session } });
  put('policy.yaml', policyText('2', []));
  let seen = '';
  for await (const chunk of stream.body ?? []) {
    seen += new TextDecoder().decode(chunk as Uint8Array);
    if (seen.includes('notifications/tools/list_changed')) break;
  }
});

test('SIGHUP takes a change at once where files are not watched, and says when there is none', async (t) => {
  const { put, call, proxy, says, stop } = await scene(t, { config: { reload: { watch: 'off' } } });
  put('policy.yaml', policyText('2', []));
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal((await call()).allowed, true);
  proxy.child.kill('SIGHUP');
  await says(/info reloaded: policy/);
  assert.equal((await call()).allowed, false);
  proxy.child.kill('SIGHUP');
  await says(/info reload: nothing has changed/);
  put('policy.yaml', 'rules: [');
  proxy.child.kill('SIGHUP');
  await says(/error not reloaded/);
  const records = await stop();
  assert.deepEqual(lifecycle(records), ['start', 'reload', 'reload_failed', 'stop']);
});

describe('verdict.yaml that is edited', () => {
  test('serves other servers from then on, and none that has gone', async (t) => {
    const { directory, put, call, says, url, stop } = await scene(t);
    const config = readJson(directory);
    const other = url.replace('/up/', '/other/');
    assert.equal((await call({ url: other })).status, 404);
    const { up, ...rest } = config['servers'] as Record<string, unknown>;
    put('verdict.yaml', JSON.stringify({ ...config, servers: { ...rest, other: up } }));
    await says(/reloaded: servers/);
    assert.equal((await call()).status, 404);
    // It is there, and policy has no rule for it.
    assert.deepEqual(await call({ url: other }), { status: 200, allowed: false });
    checkDigests(await stop());
  });

  test('is refused as a whole where anything of it takes a restart', async (t) => {
    const { directory, put, call, says, stop } = await scene(t);
    put('policy.yaml', policyText('2', []));
    put('verdict.yaml', JSON.stringify({ ...readJson(directory), shutdown_timeout: '1s' }));
    await says(/not reloaded.*: What has changed of shutdown_timeout takes effect at the next start only/);
    assert.equal((await call()).allowed, true);
    assert.deepEqual(lifecycle(await stop()), ['start', 'reload_failed', 'stop']);
  });

  test('that has gone leaves everything as it is', async (t) => {
    const { directory, put, call, says } = await scene(t);
    const text = JSON.stringify(readJson(directory));
    rmSync(join(directory, 'verdict.yaml'));
    await says(/not reloaded.*verdict\.yaml cannot be read: there is no such file/);
    assert.equal((await call()).allowed, true);
    put('verdict.yaml', text);
    await says(/the files are good again, and say what is in force/);
  });
});

describe('a key that is removed', () => {
  test('is refused from then on, and the stream that it has open ends; other keys’ go on', async (t) => {
    const [alice, bob] = [newKey('alice'), newKey('bob')];
    const emits: ((value: unknown) => void)[] = [];
    const { url, put, call, says, stop } = await scene(t, {
      config: { identity: { api_keys: 'keys.yaml' } },
      files: { 'keys.yaml': keysText(alice, bob) },
      upstream: (request, response) => {
        if (request.method === 'GET') emits.push(startEvents(response));
        else
          response
            .setHeader('content-type', 'application/json')
            .end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
      },
    });
    const streams = await Promise.all(
      [alice, bob].map(({ key }) =>
        fetch(url, { headers: { authorization: `Bearer ${key}`, accept: 'text/event-stream' } }),
      ),
    );
    assert.deepEqual(
      streams.map(({ status }) => status),
      [200, 200],
    );
    const ended = [false, false];
    const texts = ['', ''];
    const reading = streams.map(async (stream, index) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream.body ?? []) texts[index] += decoder.decode(chunk as Uint8Array);
      ended[index] = true;
    });
    put('keys.yaml', keysText(bob));
    await says(/reloaded: identity\.api_keys/);
    await eventually('the end of the stream of the removed key', () => ended[0] === true);
    assert.equal((await call({ key: alice })).status, 401);
    assert.equal((await call({ key: bob })).allowed, true);
    for (const emit of emits)
      emit({
        jsonrpc: '2.0',
        method: 'notifications/message',
        params: { level: 'info', data: 'still here' },
      });
    await eventually('a message on the other stream', () => texts[1]?.includes('still here') === true);
    assert.deepEqual(ended, [true, false]);
    const records = await stop();
    await Promise.all(reading);
    checkDigests(records);
    const refused = recordsNamed(records, 'verdict.decision', 'verdict.decision.reason').flat();
    // The stream's, and the call's.
    assert.deepEqual(refused.filter((reason) => reason === 'identity_invalid').length, 2);
  });
});

describe('wrap', () => {
  test('takes a change of its policy, and keeps what it has where the new one is invalid', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-wrap-reload-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const put = (text: string): void => {
      writeFileSync(join(directory, 'p.yaml.new'), text);
      renameSync(join(directory, 'p.yaml.new'), join(directory, 'p.yaml'));
    };
    put(policyText('1', ['echo']));
    const proxy = startCli(
      [
        'wrap',
        '--policy',
        'p.yaml',
        '--server',
        'up',
        '--spool',
        'spool',
        '--keys-directory',
        'keys',
        '--watch',
        '100ms',
        '--log-level',
        'info',
        '--',
        process.execPath,
        SCRIPTED_SERVER,
      ],
      { cwd: directory },
    );
    t.after(() => proxy.stop('SIGKILL'));
    let id = 0;
    const call = async (): Promise<string> => {
      id += 1;
      proxy.child.stdin.write(`${callTool(id, 'echo', { text: 'hello' })}\n`);
      const [line] = await proxy.waitFor(new RegExp(`.*"id":${id}\\b.*`));
      return line;
    };
    assert.match(await call(), /"text":"hello"/);
    put('rules: [');
    await proxy.waitFor(/error not reloaded/);
    assert.match(await call(), /"text":"hello"/);
    put(policyText('2', []));
    await proxy.waitFor(/info reloaded: policy/);
    assert.match(await call(), /"isError":true/);
    proxy.child.stdin.end();
    await proxy.ended;
    const records = await recordsOf(directory);
    assert.equal(checkDigests(records), 3);
    assert.deepEqual(lifecycle(records), ['start', 'reload_failed', 'reload', 'stop']);
  });
});

function readJson(directory: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(directory, 'verdict.yaml'), 'utf8')) as Record<string, unknown>;
}
