import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import {
  createLineBuffer,
  decodeValue,
  followRequests,
  parseLine,
  readLogs,
  readMetrics,
  readSpans,
} from './otlp-files.ts';

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-files-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('lines are the same however their bytes are cut', () => {
  const text = fc.string({ unit: 'grapheme' }).map((line) => line.replaceAll('\n', ''));
  fc.assert(
    fc.property(fc.array(text), fc.array(fc.nat(20)), (lines, sizes) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const buffer = createLineBuffer();
      const got: string[] = [];
      let offset = 0;
      for (const size of [...sizes, bytes.length]) {
        got.push(...buffer.push(bytes.subarray(offset, offset + size)));
        offset += size;
      }
      assert.deepEqual(got, bytes.toString().split('\n').slice(0, -1));
      assert.equal(buffer.pending(), '');
    }),
  );
});

test('a line that is not finished yet is not read, and is read whole later', (t) => {
  const dir = directory(t);
  const file = join(dir, 'logs.jsonl');
  const follow = followRequests(dir, 'logs');
  assert.deepEqual(follow(), []);
  writeFileSync(file, '{"a":1}\n{"a":');
  assert.deepEqual(follow(), [{ a: 1 }]);
  appendFileSync(file, '2}');
  assert.deepEqual(follow(), []);
  appendFileSync(file, '\n');
  assert.deepEqual(follow(), [{ a: 2 }]);
  assert.deepEqual(follow(), []);
});

test('rotation loses nothing and repeats nothing, and other files are not read', (t) => {
  const dir = directory(t);
  const file = join(dir, 'logs.jsonl');
  const follow = followRequests(dir, 'logs');
  writeFileSync(join(dir, 'traces.jsonl'), '{"trace":1}\n');
  writeFileSync(file, '{"a":1}\n');
  assert.deepEqual(follow(), [{ a: 1 }]);
  appendFileSync(file, '{"a":2}\n');
  renameSync(file, join(dir, 'logs-2026-11-22T10-00-00.000-size.jsonl'));
  writeFileSync(file, '{"a":3}\n');
  assert.deepEqual(follow(), [{ a: 2 }, { a: 3 }]);
});

test('a directory that is not there yet holds no requests', (t) => {
  assert.deepEqual(followRequests(join(directory(t), 'later'), 'logs')(), []);
});

test('two requests in one line, left by a kill between a line and its end, are both read', () => {
  const body = '}{"resourceLogs":[';
  const one = JSON.stringify({
    resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: body } }] }] }],
  });
  const requests = parseLine(one + one);
  assert.deepEqual(
    requests.flatMap(readLogs).map((log) => log.body),
    [body, body],
  );
});

test('a broken line is an error and not a missing record', () => {
  assert.throws(() => parseLine('{"resourceLogs":[{"sco'), SyntaxError);
  assert.deepEqual(parseLine(''), []);
});

test('values keep their type, and integers their every digit', () => {
  for (const [any, value] of [
    [{ stringValue: '' }, ''],
    [{ intValue: '-5' }, -5],
    [{ intValue: '9007199254740993' }, 9007199254740993n],
    [{ intValue: 7 }, 7],
    [{ doubleValue: 'NaN' }, Number.NaN],
    [{ doubleValue: 0.5 }, 0.5],
    [{ boolValue: false }, false],
    [{ bytesValue: 'AAE=' }, 'AAE='],
    [{ arrayValue: {} }, []],
    [{ arrayValue: { values: [{ intValue: '1' }, {}] } }, [1, null]],
    [{}, null],
    [undefined, null],
  ] as const) {
    assert.deepEqual(decodeValue(any), value);
  }
});

test('an attribute named __proto__ is an attribute', () => {
  const decoded = decodeValue({
    kvlistValue: { values: [{ key: '__proto__', value: { stringValue: 'x' } }] },
  });
  assert.deepEqual(Object.entries(Object(decoded)), [['__proto__', 'x']]);
});

test('every resource and scope of a request is walked', () => {
  const logs = (name: string): unknown => ({
    resource: { attributes: [{ key: 'service.name', value: { stringValue: name } }] },
    scopeLogs: [{ logRecords: [{}, {}] }, { scope: { name: 's' }, logRecords: [{}] }],
  });
  const read = readLogs({ resourceLogs: [logs('a'), logs('b')] });
  assert.deepEqual(
    read.map(({ resource, scope }) => [resource['service.name'], scope.name]),
    [
      ['a', ''],
      ['a', ''],
      ['a', 's'],
      ['b', ''],
      ['b', ''],
      ['b', 's'],
    ],
  );
});

test('spans keep their links, and metrics their kind and points', () => {
  const link = { traceId: 'aa', spanId: 'bb', attributes: [{ key: 'k', value: { boolValue: true } }] };
  const [span] = readSpans({ resourceSpans: [{ scopeSpans: [{ spans: [{ name: 'n', links: [link] }] }] }] });
  assert.deepEqual(span?.links, [{ traceId: 'aa', spanId: 'bb', attributes: { k: true } }]);
  assert.equal(span.parentSpanId, '');
  const metrics = [
    { name: 'g', gauge: { dataPoints: [{ asDouble: 1.5 }] } },
    { name: 's', sum: { dataPoints: [{ asInt: '2' }] } },
  ];
  const read = readMetrics({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
  assert.deepEqual(
    read.map(({ name, kind, points }) => [name, kind, points[0]?.value]),
    [
      ['g', 'gauge', 1.5],
      ['s', 'sum', 2],
    ],
  );
  assert.throws(
    () => readMetrics({ resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: 'x' }] }] }] }),
    /no known kind/,
  );
});
