/**
 * Tasks of 2025-11-25, as server-everything has them: a denied tool is not started as one, and what a task has come to
 * reaches whoever has started it, where policy allows tasks, and nobody else.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { ROOT, startCli, startCommand, type Running } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { send } from '../support/http-scene.ts';

const EVERYTHING = join(ROOT, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: tasks, version: "1"}
identities: {keepers: {any: [{user: ann}, {user: bob}]}, kept-out: {any: [{user: dan}]}}
rules:
  - {id: tools, effect: allow, tools: ["*/*"]}
  - {id: tasks, effect: allow, identities: [keepers], methods: ["tasks/*"]}
  - {id: no-research, effect: deny, identities: [kept-out], tools: ["*/simulate-research-query"]}
`;
/** The tool can be called as a task only, and takes four seconds. */
const RESEARCH = { name: 'simulate-research-query', arguments: { topic: 'owls' }, task: { ttl: 60_000 } };

interface Message {
  readonly id?: number;
  readonly result?: {
    readonly task?: { readonly taskId: string };
    readonly tasks?: readonly { readonly taskId: string }[];
    readonly content?: readonly { readonly text: string }[];
    readonly isError?: boolean;
  };
  readonly error?: { readonly code: number };
}

type User = 'ann' | 'bob' | 'cid' | 'dan';

describe('tasks of 2025-11-25', () => {
  const users = (['ann', 'bob', 'cid', 'dan'] as const).map((user) => [user, newApiKey({ user })] as const);
  const sessions = new Map<User, string>();
  let directory: string;
  let upstream: Running;
  let proxy: Running;
  let url: URL;
  let taskId: string;

  const post = async (user: User, body: object, session = sessions.get(user)) => {
    const key = users.find(([name]) => name === user)?.[1].key ?? '';
    const answer = await send(Number(url.port), {
      path: url.pathname,
      headers: [
        'Content-Type',
        'application/json',
        'Accept',
        'application/json, text/event-stream',
        'Authorization',
        `Bearer ${key}`,
        ...(session === undefined ? [] : ['Mcp-Session-Id', session, 'MCP-Protocol-Version', '2025-11-25']),
      ],
      body: JSON.stringify({ jsonrpc: '2.0', ...body }),
    });
    const text = answer.body.toString();
    const [, event] = /^data: (\{.*"id":[0-9].*)$/m.exec(text) ?? [];
    const message = text === '' ? {} : (JSON.parse(event ?? text) as Message);
    return { status: answer.status, message, session: answer.headers['mcp-session-id'] };
  };
  const ask = async (user: User, method: string, params: object = {}, session?: string) =>
    (await post(user, { id: 7, method, params }, session)).message;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-tasks-'));
    const port = await freePort();
    upstream = startCommand(process.execPath, [EVERYTHING, 'streamableHttp'], {
      env: { PORT: String(port) },
    });
    await upstream.waitFor(/listening on port/i);
    const keys = users.map(([, { entry }]) => entry);
    writeFileSync(join(directory, 'policy.yaml'), POLICY);
    writeFileSync(
      join(directory, 'keys.yaml'),
      JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys }),
    );
    writeFileSync(
      join(directory, 'verdict.yaml'),
      'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {api_keys: keys.yaml}\nkeys: {directory: keys}\n' +
        `spool: {directory: spool}\nservers: {up: {url: "http://127.0.0.1:${port}/mcp"}}\n`,
    );
    proxy = startCli(['serve', '--config', join(directory, 'verdict.yaml')]);
    const [, at = ''] = await proxy.waitFor(/serving up at (\S+)/);
    url = new URL(at);
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 't', version: '1' },
    };
    for (const [user] of users) {
      const { session } = await post(user, { id: 1, method: 'initialize', params });
      sessions.set(user, String(session));
      await post(user, { method: 'notifications/initialized' });
    }
    taskId = (await ask('ann', 'tools/call', RESEARCH)).result?.task?.taskId ?? '';
  });

  after(async () => {
    await proxy?.stop('SIGKILL');
    await upstream?.stop('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  test('an allowed tool is started as a task, and what it comes to is had where policy allows tasks', async () => {
    assert.match(taskId, /^[0-9a-f]{32}$/);
    const listed = (await ask('ann', 'tasks/list')).result?.tasks ?? [];
    assert.deepEqual(
      listed.map((task) => task.taskId),
      [taskId],
    );
    assert.match((await ask('ann', 'tasks/result', { taskId })).result?.content?.[0]?.text ?? '', /owls/);
  });

  test('a denied tool is not started as a task', async () => {
    const { result } = await ask('dan', 'tools/call', RESEARCH);
    assert.equal(result?.isError, true);
    assert.equal(result.task, undefined);
  });

  for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/list'])
    test(`${method} is denied where no rule allows it`, async () => {
      assert.equal((await ask('cid', method, { taskId: 'some' })).error?.code, -31403);
    });

  for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel'])
    test(`${method} with the id of another’s task finds none in one’s own session`, async () => {
      assert.equal((await ask('bob', method, { taskId })).error?.code, -32602);
    });

  test('a list of tasks names none of another’s', async () => {
    assert.deepEqual((await ask('bob', 'tasks/list')).result?.tasks, []);
  });

  test('the session of another is nobody else’s way to its tasks', async () => {
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/list']) {
      const body = { id: 8, method, params: { taskId } };
      assert.equal((await post('bob', body, sessions.get('ann'))).status, 404);
    }
  });
});
