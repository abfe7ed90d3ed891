import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isObject } from '../../src/event/json.ts';
import { LOCK_TOOLS_MAX } from '../../src/proxy/pins/lock.ts';
import type { ServerCard } from '../../src/service/asking/ask-server.ts';
import type { Members } from '../../src/service/asking/conversation.ts';
import { toolsOf } from '../../src/service/tools.ts';
import { json, pinned, READ_FILE } from '../proxy/pins/definitions.ts';

function card(protocol: string, ...tools: readonly object[]): ServerCard {
  const listed = tools.map((tool): Members => {
    const value = json(JSON.stringify(tool));
    assert.ok(isObject(value));
    return value;
  });
  return { name: 's', version: '1', protocol, tools: listed, elapsedMs: 1 };
}

describe('the pins of what a server lists', () => {
  test('hold one definition for each way in which it describes a tool', () => {
    const other = { ...READ_FILE, title: 'Read' };
    const { tools, protocols } = toolsOf('files', [
      card('2025-11-25', READ_FILE, { ...READ_FILE, name: 'a' }),
      card('2026-07-28', other, { ...READ_FILE, name: 'a' }),
    ]);
    assert.deepEqual(protocols, ['2025-11-25', '2026-07-28']);
    assert.deepEqual(
      tools.get('read_file')?.map(({ digest }) => digest),
      [pinned().digest, pinned({ title: 'Read' }).digest],
    );
    assert.equal(tools.get('a')?.length, 1);
  });

  test('are none for a tool that is listed twice in one list with two faces; the same twice is one', () => {
    assert.throws(
      () => toolsOf('files', [card('2025-11-25', READ_FILE, { ...READ_FILE, title: 'Read' })]),
      /lists the tool read_file twice/,
    );
    assert.equal(
      toolsOf('files', [card('2025-11-25', READ_FILE, READ_FILE)]).tools.get('read_file')?.length,
      1,
    );
  });

  test('leave out what no call can name, and say so', () => {
    const { tools, leftOut } = toolsOf('files', [
      card('2025-11-25', { ...READ_FILE, name: 'read\u200b' }, { description: 'x' }, READ_FILE),
    ]);
    assert.deepEqual([[...tools.keys()], leftOut], [['read_file'], ['read\u200b', 'without a name']]);
  });

  test('are none where there are more than a file may hold', () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `t${index}` }));
    assert.equal(toolsOf('files', [card('2025-11-25', ...many(LOCK_TOOLS_MAX))]).tools.size, LOCK_TOOLS_MAX);
    assert.throws(
      () => toolsOf('files', [card('2025-11-25', ...many(LOCK_TOOLS_MAX + 1))]),
      /more than 1000 tools/,
    );
    assert.equal(toolsOf('files', [{ ...card('2025-11-25'), tools: undefined }]).tools.size, 0);
  });
});
