import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  encodeHeader,
  encodeSeal,
  isHeader,
  isSeal,
  isStreamId,
  parseHeader,
  parseSeal,
  parseSegmentName,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_BYTES_MAX,
  SEGMENT_BYTES_MIN,
  segmentBytes,
  segmentName,
} from '../../src/spool/segment.ts';
import type { SegmentHeader, SegmentSeal } from '../../src/spool/segment.ts';

const STREAM = '019aaaaa-0000-7000-8000-0000000000ff';
const HASH = 'ab'.repeat(32);

const HEADER: SegmentHeader = {
  stream: STREAM,
  firstSequence: 1,
  previousHash: HASH,
  predecessor: { stream: STREAM.replace('ff', 'fe'), sequence: 0, hash: HASH },
  resource: { 'service.name': 'mcp-verdict', 'process.pid': 7, on: true, list: ['a'] },
  scope: { name: 'mcp-verdict', version: '0.1.0', schemaUrl: 'https://schema.example/1' },
  open: [STREAM],
};

const SEAL: SegmentSeal = { stream: STREAM, lastSequence: 12, hash: HASH, count: 12 };

test('segments sort by name as by sequence, and only theirs are names of segments', () => {
  assert.equal(segmentName(1), '00000000000000000001.log');
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (first) => {
      assert.equal(parseSegmentName(segmentName(first)), first);
    }),
  );
  for (const name of ['next.log', '1.log', `${'0'.repeat(20)}.log`, `${'9'.repeat(20)}.log`, 'lock.sqlite']) {
    assert.equal(parseSegmentName(name), undefined, name);
  }
});

test('a header and a seal come back', () => {
  assert.deepEqual(parseHeader(encodeHeader(HEADER)), HEADER);
  const first = { ...HEADER, predecessor: undefined, open: [] };
  assert.deepEqual(parseHeader(encodeHeader(first)), first);
  assert.deepEqual(parseSeal(encodeSeal(SEAL)), SEAL);
});

test('a header is written as the format says', () => {
  assert.equal(
    encodeHeader(HEADER),
    `{"verdict.segment":1,"stream":"${STREAM}","first_sequence":1,"previous_hash":"${HASH}",` +
      `"predecessor":{"stream":"${STREAM.replace('ff', 'fe')}","sequence":0,"hash":"${HASH}"},` +
      '"resource":{"service.name":"mcp-verdict","process.pid":7,"on":true,"list":["a"]},' +
      '"scope":{"name":"mcp-verdict","version":"0.1.0","schema_url":"https://schema.example/1"},' +
      `"open":["${STREAM}"]}`,
  );
  assert.equal(
    encodeSeal(SEAL),
    `{"verdict.seal":1,"stream":"${STREAM}","last_sequence":12,"hash":"${HASH}","count":12}`,
  );
});

test('neither passes for the other, and no body for either', () => {
  assert.ok(isHeader(encodeHeader(HEADER)) && !isSeal(encodeHeader(HEADER)));
  assert.ok(isSeal(encodeSeal(SEAL)) && !isHeader(encodeSeal(SEAL)));
  assert.equal(parseSeal(encodeHeader(HEADER)), undefined);
  assert.equal(parseHeader(encodeSeal(SEAL)), undefined);
  const body = '{"event.name":"verdict.decision","verdict.seal":1,"verdict.segment":1}';
  assert.ok(!isHeader(body) && !isSeal(body));
});

const WRONG: readonly unknown[] = [null, 0, -1, 1.5, '', 'x', [], {}, [7], { a: {} }, true];
/** Some wrong values are right in some places. */
const FINE = new Set(['predecessor null', 'resource {}', 'open []', 'count 0', 'last_sequence 0']);

for (const [kind, json, parse] of [
  ['header', encodeHeader(HEADER), parseHeader],
  ['seal', encodeSeal(SEAL), parseSeal],
] as const) {
  test(`a ${kind} with any member missing or wrong is none`, () => {
    const members = JSON.parse(json) as Record<string, unknown>;
    for (const name of Object.keys(members)) {
      const { [name]: _, ...rest } = members;
      assert.equal(parse(JSON.stringify(rest)), undefined, name);
      for (const value of WRONG) {
        const changed = JSON.stringify({ ...members, [name]: value });
        if (!FINE.has(`${name} ${JSON.stringify(value)}`)) assert.equal(parse(changed), undefined, changed);
      }
    }
  });

  test(`what is no ${kind} is refused without a throw`, () => {
    for (const text of ['', '{', json.slice(0, -1), `[${json}]`, ` ${json}`, 'null']) {
      assert.equal(parse(text), undefined, text);
    }
  });
}

test('a header of a later version is not misread', () => {
  assert.equal(parseHeader(encodeHeader(HEADER).replace('segment":1', 'segment":2')), undefined);
});

test('the segment size is held between its limits', () => {
  assert.equal(segmentBytes(), SEGMENT_BYTES_DEFAULT);
  assert.equal(segmentBytes(SEGMENT_BYTES_MIN), SEGMENT_BYTES_MIN);
  assert.equal(segmentBytes(SEGMENT_BYTES_MIN - 1), SEGMENT_BYTES_MIN);
  assert.equal(segmentBytes(SEGMENT_BYTES_MAX), SEGMENT_BYTES_MAX);
  assert.equal(segmentBytes(SEGMENT_BYTES_MAX + 1), SEGMENT_BYTES_MAX);
  assert.equal(segmentBytes(100_000.7), 100_000);
});

test('a stream id is a UUID in lower case and nothing that leads elsewhere', () => {
  assert.ok(isStreamId(STREAM));
  for (const name of ['..', 'dead-letter', STREAM.toUpperCase(), `${STREAM}/x`, `${STREAM}\n`, undefined]) {
    assert.ok(!isStreamId(name), String(name));
  }
});
