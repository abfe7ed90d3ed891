import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdsTexts } from '../support/garbage.ts';
import { CLEAN_TEXTS_MAX, toAttributes } from '../../src/event/fields.ts';
import { KEYS } from '../../src/event/vocabulary.ts';
import type { Fields } from '../../src/event/vocabulary.ts';

/** What the types forbid but a caller may still hand over. */
const untyped = (fields: Record<string, unknown>): Fields => fields;

test('known fields of the right type pass', () => {
  const fields: Fields = {
    'gen_ai.tool.name': 'read_file',
    'verdict.decision.enforced': true,
    'server.port': 443,
    'user.roles': ['a', 'b'],
  };
  assert.deepEqual(toAttributes(fields), fields);
});

const dropped: [name: string, fields: Record<string, unknown>][] = [
  ['undefined', { 'user.id': undefined }],
  ['null', { 'user.id': null }],
  ['an unknown key', { 'verdict.unheard.of': 'x' }],
  ['an inherited name', { constructor: 'x', toString: 'y' }],
  ['an own __proto__', JSON.parse('{"__proto__": "x"}') as Record<string, unknown>],
  ['a key that only the body carries', { 'event.name': 'verdict.decision', trace_id: 'x' }],
  ['a number where a string belongs', { 'user.id': 7 }],
  ['a string where a number belongs', { 'server.port': '443' }],
  ['an object where a string belongs', { 'user.id': { toString: () => 'x' } }],
  ['a string where a list belongs', { 'user.roles': 'admin' }],
  ['an integer beyond the safe ones', { 'verdict.arguments.size': 2 ** 53 }],
  ['a fraction', { 'server.port': 1.5 }],
  ['NaN', { 'server.port': Number.NaN }],
  ['Infinity', { 'server.port': Number.POSITIVE_INFINITY }],
];

for (const [name, fields] of dropped) {
  test(`left out: ${name}`, () => assert.deepEqual(toAttributes(untyped(fields)), {}));
}

test('the largest safe integer passes, and -0 is 0', () => {
  const attributes = toAttributes({ 'verdict.arguments.size': Number.MAX_SAFE_INTEGER, 'server.port': -0 });
  assert.deepEqual(attributes, { 'verdict.arguments.size': Number.MAX_SAFE_INTEGER, 'server.port': 0 });
});

const caps: [key: string, bytesMax: number][] = [
  ['user.id', 1024],
  ['gen_ai.tool.name', 256],
  ['gen_ai.tool.call.arguments', 16_384],
];

for (const [key, bytesMax] of caps) {
  test(`${key} holds ${bytesMax} bytes and no more`, () => {
    const at = 'a'.repeat(bytesMax);
    assert.equal(toAttributes(untyped({ [key]: at }))[key], at);
    assert.equal(toAttributes(untyped({ [key]: `${at}a` }))[key], `${at.slice(3)}…`);
  });
}

test('a list holds 64 elements and no more, each cut and well-formed, strings only', () => {
  const roles = Array.from({ length: 64 }, (_, index) => String(index));
  assert.deepEqual(toAttributes({ 'user.roles': roles })['user.roles'], roles);
  assert.deepEqual(toAttributes({ 'user.roles': [...roles, 'more'] })['user.roles'], roles);
  const odd = untyped({ 'user.roles': ['\ud800', 7, null, 'a'.repeat(1_000_000)] });
  assert.deepEqual(toAttributes(odd)['user.roles'], ['\ufffd', `${'a'.repeat(1021)}…`]);
});

const TOKEN = `ghp_${'aB3'.repeat(12)}`;

/** Ours, verified, or redacted before: these stay to the last character. */
const EXACT = `
  log.record.uid verdict.time verdict.stream.id verdict.stream.previous_hash verdict.decision.uid
  verdict.policy.name verdict.policy.file verdict.policy.version verdict.policy.digest verdict.rule.id
  verdict.shadow.rule.id verdict.tool.digest verdict.tool.pinned_digest mcp.session.id server.address client.address
  gen_ai.operation.name
  user.id user.roles gen_ai.agent.id gen_ai.agent.name verdict.identity.issuer verdict.identity.delegation
  verdict.kill.id verdict.kill.issuer verdict.kill.until
  verdict.approval.approver.id verdict.arguments.keys verdict.arguments.hmac verdict.arguments.redacted
  gen_ai.tool.call.arguments verdict.approval.id verdict.lifecycle.public_key verdict.lifecycle.adopted
  verdict.checkpoint.stream verdict.checkpoint.hash verdict.checkpoint.signature verdict.checkpoint.key_id
  verdict.gap.stream verdict.gap.exporter verdict.gap.last_hash
`
  .trim()
  .split(/\s+/);

for (const row of KEYS) {
  if ('bodyOnly' in row || 'values' in row || (row.type !== 'string' && row.type !== 'strings')) continue;
  const exact = EXACT.includes(row.key);
  test(`a secret in ${row.key} is ${exact ? 'no text of a caller' : 'hidden'}`, () => {
    const given = row.type === 'string' ? TOKEN : [TOKEN];
    const hidden = row.type === 'string' ? '[redacted:github]' : ['[redacted:github]'];
    assert.deepEqual(toAttributes(untyped({ [row.key]: given })), { [row.key]: exact ? given : hidden });
  });
}

test('every exact key is in the table', () => {
  const known: readonly string[] = KEYS.map(({ key }) => key);
  assert.deepEqual(
    EXACT.filter((key) => !known.includes(key)),
    [],
  );
});

const secrets: [key: string, given: string, shown: string][] = [
  ['gen_ai.tool.name', `sk-ant-api03-${'aB3'.repeat(20)}`, '[redacted:ai-key]'],
  ['user_agent.original', 'agent/1.0 Bearer abc.def', 'agent/1.0 Bearer [redacted:bearer]'],
  ['mcp.resource.uri', 'file:///srv/token=hunter2/x', 'file:///srv/token=[redacted]'],
  [
    'verdict.decision.message',
    'The key "password=hunter2" stands twice',
    'The key "password=[redacted]" stands twice',
  ],
  ['verdict.decision.message', 'No rule allows files/read_text_file for this caller.', ''],
  ['user_agent.original', 'claude-code/1.0.44 (external, cli) node/24.1.0', ''],
];
for (const [key, given, shown] of secrets) {
  test(`${key} of ${given.slice(0, 40)} shows ${shown === '' ? 'all' : shown}`, () => {
    assert.deepEqual(toAttributes(untyped({ [key]: given })), { [key]: shown === '' ? given : shown });
  });
}

test('a secret across the cut is hidden, and one behind it is not looked for', () => {
  const text = (pad: number) => `${'x '.repeat(pad / 2)}${TOKEN}`;
  for (const pad of [960, 1000, 1020, 1024, 2046, 1_000_000])
    assert.doesNotMatch(
      String(toAttributes({ 'verdict.decision.message': text(pad) })['verdict.decision.message']),
      /ghp_/,
    );
});

test('more texts than are remembered are still looked through, and those that are remembered too', () => {
  for (let index = 0; index <= CLEAN_TEXTS_MAX + 1; index += 1) {
    const method = `Some/${index} text of ours`;
    assert.equal(toAttributes({ 'mcp.method.name': method })['mcp.method.name'], method);
    assert.equal(toAttributes({ 'mcp.method.name': method })['mcp.method.name'], method);
  }
  assert.equal(toAttributes({ 'mcp.method.name': TOKEN })['mcp.method.name'], '[redacted:github]');
});

test('a text that is remembered as harmless holds nothing of the message that it was a part of', async () => {
  const held = await holdsTexts((text) => {
    const name = `a_tool_with_a_long_name_${text}`.slice(0, 40);
    return toAttributes({ 'gen_ai.tool.name': name }) === undefined;
  });
  assert.equal(held, false);
});
