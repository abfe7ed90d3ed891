/**
 * Every row of the method table through both doors, in each era it has: with no rule, with one that allows it and
 * with one that denies it. A row that is added is tested by being there.
 */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Identity } from '../../src/identity/identity.ts';
import { isRemoved, METHODS, type MethodRow } from '../../src/proxy/message/methods.ts';
import { openGate } from '../support/gate-scene.ts';
import * as http from '../support/http-scene.ts';
import { bench } from '../support/stdio-bench.ts';
import * as stdio from '../support/stdio-fixtures.ts';
import { within } from '../support/within.ts';

type Era = 'legacy' | 'modern';
type Rule = 'none' | 'allow' | 'deny';

/** What came of one message: whether the other side got it, byte for byte, and what went back to its sender. */
interface Passage {
  readonly passed: boolean;
  readonly back: string;
}

const VERSION = '2026-07-28';
const TASK = { taskId: 'task' };
const RESOURCE = { uri: 'file:///a' };
const PARAMS: Readonly<Record<string, object>> = {
  'tools/call': { name: 'tool', arguments: {} },
  'prompts/get': { name: 'prompt' },
  'resources/read': RESOURCE,
  'resources/subscribe': RESOURCE,
  'resources/unsubscribe': RESOURCE,
  'completion/complete': { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: 'b' } },
  'tasks/get': TASK,
  'tasks/result': TASK,
  'tasks/cancel': TASK,
  'tasks/update': TASK,
};

function textOf({ method, kind, from }: MethodRow, era: Era): string {
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': VERSION,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const _meta = era === 'modern' && from === 'client' ? { _meta: envelope } : {};
  const id = kind === 'request' ? { id: 'of-the-table' } : {};
  return JSON.stringify({ jsonrpc: '2.0', ...id, method, params: { ...PARAMS[method], ..._meta } });
}

function headersOf({ method, kind }: MethodRow, era: Era): readonly string[] {
  if (era === 'legacy' || kind !== 'request') return [];
  const params = { ...PARAMS[method] } as { name?: string; uri?: string; taskId?: string };
  const name = params.name ?? params.uri ?? params.taskId;
  const names = name === undefined ? [] : ['Mcp-Name', name];
  return ['MCP-Protocol-Version', VERSION, 'Mcp-Method', method, ...names];
}

function gateFor({ method }: MethodRow, rule: Rule) {
  const target = method === 'tools/call' ? 'tools: ["files/tool"]' : `methods: ["${method}"]`;
  const rules = rule === 'none' ? '[]' : `[{id: it, effect: ${rule}, ${target}}]`;
  const head = 'apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: table}\n';
  return openGate('deny', `${head}rules: ${rules}\n`).gate;
}

async function overStdio(row: MethodRow, era: Era, rule: Rule): Promise<Passage> {
  const { decide, reject } = gateFor(row, rule);
  const { up, down, upstream, client } = bench({ ...stdio.scriptedGate(), decide, reject });
  const text = textOf(row, era);
  const fromClient = row.from === 'client';
  await (fromClient ? up : down)(text);
  const [onward, back] = fromClient ? [upstream, client] : [client, upstream];
  return { passed: onward.got.join('') === `${text}\n`, back: back.got.join('') };
}

const ALICE: Identity = { source: 'api_key', user: 'alice' };
/** Passes without a rule, and its answer is a stream in which a server of 2026-07-28 can speak. */
const CARRIER = METHODS.find(({ method }) => method === 'prompts/list');

async function overHttp(
  t: TestContext,
  row: MethodRow,
  { era, rule }: { era: Era; rule: Rule },
): Promise<Passage> {
  const { decide, reject } = gateFor(row, rule);
  const text = textOf(row, era);
  const refused = Promise.withResolvers<string>();
  const scene = await http.scene(t, {
    gate: { ...http.scriptedGate(), decide, reject },
    authenticate: () => ({ ok: true, identity: ALICE }),
    upstream: (request, response, { body }) => {
      if (row.from === 'client' && body.length > 0) {
        return http.answerJson(response, { jsonrpc: '2.0', id: 'of-the-table', result: {} });
      }
      if (body.toString().includes('"error"')) {
        // What it has asked is refused, by a POST of our own.
        refused.resolve(body.toString());
        return void response.writeHead(202).end();
      }
      if (request.method === 'DELETE') return void response.writeHead(200).end();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return void response.end(row.from === 'server' ? `data: ${text}\n\n` : ': open\n\n');
    },
  });
  const { port, received } = scene;
  if (row.kind === 'transport') {
    const method = row.method === 'transport/delete' ? 'DELETE' : 'GET';
    const { status } = await http.send(port, { method });
    return { passed: received.length === 1, back: String(status) };
  }
  if (row.from === 'client') {
    const { body } = await http.send(port, { body: text, headers: headersOf(row, era) });
    const passed = received.length === 1 && received[0]?.body.toString() === text;
    assert.ok(passed || received.length === 0, 'something else has reached the upstream');
    return { passed, back: body.toString() };
  }
  assert.ok(CARRIER !== undefined);
  const carrier = { body: textOf(CARRIER, era), headers: headersOf(CARRIER, era) };
  const { body } = await http.send(port, era === 'modern' ? carrier : { method: 'GET' });
  const passed = body.toString().includes(`data: ${text}\n`);
  const isRefused = !passed && row.kind === 'request';
  return { passed, back: isRefused ? await within('a refusal', refused.promise) : '' };
}

const RULES = ['none', 'allow', 'deny'] as const;

for (const row of METHODS) {
  const eras = (['legacy', 'modern'] as const).filter((era) => row.era === 'both' || row.era === era);
  for (const era of eras) {
    const doors = row.kind === 'transport' ? (['http'] as const) : (['http', 'stdio'] as const);
    for (const door of doors) {
      const fate =
        row.class === 'protocol' ? 'passes unless a rule denies it' : 'is refused unless a rule allows it';
      test(`${row.method} of a ${row.from} (${row.kind}, ${era}) over ${door} ${fate}`, async (t) => {
        for (const rule of RULES) {
          const passage = await (door === 'http'
            ? overHttp(t, row, { era, rule })
            : overStdio(row, era, rule));
          const passes = rule === 'allow' || (rule === 'none' && row.class === 'protocol');
          assert.equal(passage.passed, passes, `with ${rule}: ${passage.back}`);
          if (!passes && row.kind === 'request') assert.match(passage.back, /"error"|"isError":true/);
          if (!passes && row.kind === 'notification') assert.equal(passage.back, '');
        }
      });
    }
  }
}

describe('what 2026-07-28 has removed', () => {
  for (const row of METHODS.filter(({ method, from }) => from === 'client' && isRemoved(method))) {
    test(`${row.method} in an envelope is unknown, whatever the rules say`, async (t) => {
      for (const rule of RULES) {
        for (const passage of [
          await overHttp(t, row, { era: 'modern', rule }),
          await overStdio(row, 'modern', rule),
        ]) {
          assert.equal(passage.passed, false);
          assert.match(passage.back, /"code":-32601/);
        }
      }
    });
  }
});
