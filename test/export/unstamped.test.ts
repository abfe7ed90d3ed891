import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogRecord } from '@opentelemetry/api';
import { LoggerProvider, type ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { createEventClock } from '../../src/event/clock.ts';
import type { Unstamped } from '../../src/event/stamp.ts';
import { createRecordReader } from '../../src/export/unstamped.ts';

const SERVICE = { name: 'app', instanceId: 'i-1', version: '1' };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A record as a processor gets it, read. */
function read(record: LogRecord, scope = 'their-app'): Unstamped {
  let found: Unstamped | undefined;
  const reader = createRecordReader(
    SERVICE,
    createEventClock(() => 1_000_000_001n),
  );
  const provider = new LoggerProvider({
    processors: [
      {
        onEmit: (emitted: ReadWriteLogRecord) => void (found = reader(emitted)),
        forceFlush: async () => {},
        shutdown: async () => {},
      },
    ],
  });
  provider.getLogger(scope).emit(record);
  return found ?? assert.fail('nothing came');
}

const circular: Record<string, unknown> = {};
circular['self'] = circular;

describe('a record of another program', () => {
  test('gets a uid and a time, its scope and its body as attributes, and a name where it has none', () => {
    const { name, attributes, service } = read({ body: 'hello', timestamp: [1_800_000_000, 7] });
    assert.equal(name, 'log');
    assert.deepEqual(service, SERVICE);
    assert.match(String(attributes['log.record.uid']), UUID);
    assert.equal(attributes['verdict.time'], '2027-01-15T08:00:00.000000007Z');
    assert.equal(attributes['log.record.original'], 'hello');
    assert.equal(attributes['otel.scope.name'], 'their-app');
  });

  test('keeps the uid and the time that it has, and no scope that is ours', () => {
    const given = { 'log.record.uid': 'mine', 'verdict.time': '2026-01-01T00:00:00.000000000Z' };
    const { attributes } = read({ eventName: 'x', attributes: given }, 'mcp-verdict');
    assert.deepEqual(attributes, given);
  });

  test('is taken for an event of ours only where it is one whole', () => {
    const event = {
      'log.record.uid': 'mine',
      'verdict.time': '2026-01-01T00:00:00.000000000Z',
      'server.port': 1,
    };
    assert.deepEqual(read({ eventName: 'x', body: event }, 'mcp-verdict').attributes, event);
    const others: [LogRecord, scope: string][] = [
      [{ body: event }, 'their-app'],
      [{ body: { ...event, nested: { a: 1 } } }, 'mcp-verdict'],
      [{ body: { 'log.record.uid': 'mine' } }, 'mcp-verdict'],
      [{ body: event, attributes: { beside: 'it' } }, 'mcp-verdict'],
    ];
    for (const [record, scope] of others) {
      const { attributes } = read({ eventName: 'x', ...record }, scope);
      assert.deepEqual(attributes['log.record.original'], JSON.stringify(record.body));
      assert.equal(attributes['beside'], record.attributes?.['beside']);
    }
  });

  for (const [what, value, kept] of [
    ['a string', 'a', 'a'],
    ['false', false, false],
    ['zero', 0, 0],
    ['not a number', Number.NaN, 'NaN'],
    ['infinity', -Infinity, '-Infinity'],
    ['strings', ['a', 'b'], ['a', 'b']],
    ['numbers', [1, 2], '[1,2]'],
    ['mixed values', ['a', 1], '["a",1]'],
    ['a map', { a: { b: null } }, '{"a":{"b":null}}'],
    ['bytes', new Uint8Array([1, 2]), '{"0":1,"1":2}'],
  ] as const) {
    test(`drops nothing because of its form: ${what}`, () => {
      // Values of any kind come in from programs that are not typed.
      const { attributes } = read({ eventName: 'x', attributes: { key: value as never } });
      assert.deepEqual(attributes['key'], kept);
    });
  }

  test('keeps of a body that goes in circles that there was one', () => {
    const { attributes } = read({ body: circular as never });
    assert.equal(attributes['log.record.original'], '[object Object]');
  });
});
