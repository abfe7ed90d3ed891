import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { bodyToLogRecord } from '../../src/event/log-record.ts';
import { bodyHash, firstLink, stamp, ZERO_HASH } from '../../src/event/stamp.ts';
import type { Unstamped } from '../../src/event/stamp.ts';
import { KEYS } from '../../src/event/vocabulary.ts';
import type { Scalar } from '../../src/event/vocabulary.ts';
import { DECISION, LIFECYCLE, OUTCOME } from './sample.ts';

const STREAM = '5b1a4f0e-8f5e-4a9b-9d39-0d9c3a6a00ff';
const BODY_ONLY = KEYS.filter((row) => 'bodyOnly' in row).map((row) => row.key);

test('the first record of a first stream cites zeros, that of a later one its predecessor', () => {
  assert.deepEqual(firstLink(STREAM), { streamId: STREAM, sequence: 1, previousHash: '0'.repeat(64) });
  assert.equal(firstLink(STREAM, 'ab').previousHash, 'ab');
});

test('each record names its stream, its place and the hash of the body before', () => {
  let link = firstLink(STREAM);
  let previous = ZERO_HASH;
  for (const [index, record] of [LIFECYCLE, DECISION, OUTCOME].entries()) {
    const { event, body, hash, next } = stamp(link, record);
    assert.equal(event['verdict.stream.id'], STREAM);
    assert.equal(event['verdict.stream.sequence'], index + 1);
    assert.equal(event['verdict.stream.previous_hash'], previous);
    assert.equal(hash, createHash('sha256').update(Buffer.from(body, 'utf8')).digest('hex'));
    assert.equal(hash, bodyHash(body));
    previous = hash;
    link = next;
  }
});

test('the body holds the attributes and what only the body carries', () => {
  const { event, body } = stamp(firstLink(STREAM), DECISION);
  assert.deepEqual(JSON.parse(body), {
    ...event,
    'event.name': 'verdict.decision',
    'severity.number': 13,
    'service.name': 'mcp-verdict',
    'service.instance.id': DECISION.service.instanceId,
    'verdict.schema.version': 1,
    trace_id: DECISION.trace?.traceId,
    span_id: DECISION.trace?.spanId,
  });
  for (const key of BODY_ONLY) assert.ok(!Object.hasOwn(event, key), key);
});

test('a record without a trace has no trace ids', () => {
  const { body } = stamp(firstLink(STREAM), LIFECYCLE);
  assert.doesNotMatch(body, /trace_id|span_id/);
  const content = bodyToLogRecord(body);
  assert.equal(content.traceId, undefined);
  assert.equal(content.spanId, undefined);
});

test('what attributes claim of stream, name and severity is overruled', () => {
  const attributes = {
    ...LIFECYCLE.attributes,
    'verdict.stream.sequence': 99,
    'event.name': 'verdict.decision',
    'severity.number': 1,
  };
  const content = bodyToLogRecord(stamp(firstLink(STREAM), { ...LIFECYCLE, attributes }).body);
  assert.equal(content.eventName, 'verdict.lifecycle');
  assert.equal(content.severityNumber, 9);
  assert.equal(content.attributes['verdict.stream.sequence'], 1);
});

test('a body is one line of well-formed text, and a change of any byte changes its hash', () => {
  const { body, hash } = stamp(firstLink(STREAM), DECISION);
  assert.doesNotMatch(body, /[\n\r\t]/);
  assert.ok(body.isWellFormed());
  for (let at = 0; at < body.length; at += 97) {
    assert.notEqual(bodyHash(`${body.slice(0, at)}#${body.slice(at + 1)}`), hash);
  }
});

test('a LogRecord tells what was stamped', () => {
  const { event, body } = stamp(firstLink(STREAM), OUTCOME);
  assert.deepEqual(bodyToLogRecord(body), {
    eventName: 'verdict.outcome',
    severityNumber: 9,
    timestamp: [1_795_338_000, 123_456_783],
    attributes: event,
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
  });
});

const wellFormed = fc.string({ unit: 'grapheme' });
const scalar: fc.Arbitrary<Scalar> = fc.oneof(
  wellFormed,
  fc.boolean(),
  fc.maxSafeInteger().map((value) => value + 0),
  fc.array(wellFormed),
);

test('what is stamped comes back from the body alone, whatever the keys and values', () => {
  const keys = fc.oneof(wellFormed, fc.constantFrom('__proto__', 'constructor', 'toString', '\0', '\u2028'));
  const future = fc.array(fc.tuple(keys, scalar)).map((members) => Object.fromEntries(members));
  fc.assert(
    fc.property(future, (extra) => {
      const attributes = Object.fromEntries([
        ...Object.entries(extra),
        ...Object.entries(DECISION.attributes),
      ]);
      const record: Unstamped = { ...DECISION, attributes };
      const { event, body } = stamp(firstLink(STREAM), record);
      const known = Object.fromEntries(
        Object.entries(event).filter(([key]) => !BODY_ONLY.some((own) => own === key)),
      );
      assert.deepEqual(bodyToLogRecord(body).attributes, known);
    }),
    { examples: [[JSON.parse('{"__proto__":"x","constructor":["y"]}') as Record<string, Scalar>]] },
  );
});
