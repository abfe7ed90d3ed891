import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { anything, assert as holds, boolean, constantFrom, integer, property, uint8Array } from 'fast-check';
import { ExportResultCode } from '@opentelemetry/core';
import { DeliveryError, judge, judgeResult } from '../../src/export/acknowledgement.ts';
import type { Attempt, Judgement } from '../../src/export/acknowledgement.ts';

const OPTIONS = { endpoint: 'http://collector:4318/v1/logs', nowMs: Date.UTC(2026, 10, 22, 9) };
const JSON_TYPE = 'application/json';
const PROTOBUF = 'application/x-protobuf';

function answer(status: number, body: string | Uint8Array = '', type?: string, cutOff = false) {
  const headers = type === undefined ? {} : { 'content-type': type };
  return { status, headers, body: Buffer.from(body), cutOff };
}

function broken(code: string): Attempt {
  return { error: Object.assign(new Error(code), { code }) };
}

/** ExportLogsServiceResponse with rejected_log_records, or with an error_message. */
const REJECTED_PROTOBUF = Buffer.from([0x0a, 0x02, 0x08, 0x03]);
const WARNED_PROTOBUF = Buffer.from([0x0a, 0x04, 0x12, 0x02, 0x68, 0x69]);

const ACKNOWLEDGED: readonly (readonly [string, Attempt])[] = [
  ['200 with an empty body', answer(200)],
  ['200 with an empty body of another type', answer(200, '', 'text/html')],
  ['204', answer(204)],
  ['202', answer(202, '{}', JSON_TYPE)],
  ['200 {}', answer(200, '{}', JSON_TYPE)],
  ['200 {} with a character set', answer(200, '{}', 'Application/JSON; charset=utf-8')],
  ['200 {} without a type', answer(200, '{}')],
  ['an empty partial success', answer(200, '{"partialSuccess":{}}', JSON_TYPE)],
  ['no partial success', answer(200, '{"partialSuccess":null}', JSON_TYPE)],
  ['nothing rejected', answer(200, '{"partialSuccess":{"rejectedLogRecords":"0"}}', JSON_TYPE)],
  ['a member that a later version adds', answer(200, '{"later":{"x":1}}', JSON_TYPE)],
  ['an empty partial success in protobuf', answer(200, Buffer.from([0x0a, 0x00]), PROTOBUF)],
];

describe('acknowledged', () => {
  for (const [name, attempt] of ACKNOWLEDGED) {
    test(name, () => assert.deepEqual(judge(attempt, OPTIONS), { kind: 'acknowledged' }));
  }

  for (const [name, attempt] of [
    ['JSON', answer(200, '{"partialSuccess":{"errorMessage":"hi"}}', JSON_TYPE)],
    ['protobuf', answer(200, WARNED_PROTOBUF, PROTOBUF)],
  ] as const) {
    test(`a warning without a rejection is passed on (${name})`, () => {
      const judgement = judge(attempt, OPTIONS);
      assert.equal(judgement.kind, 'acknowledged');
      assert.match(judgement.warning ?? '', /with a warning: hi$/);
    });
  }
});

describe('refused, so that it may be a single record', () => {
  for (const [name, attempt, text] of [
    ['400', answer(400, '{"message":"bad body"}', JSON_TYPE), /HTTP 400\): bad body$/],
    ['413', answer(413), /too large/],
    ['422', answer(422, 'no'), /HTTP 422/],
    [
      'a rejected record',
      answer(200, '{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"old"}}', JSON_TYPE),
      /rejects 3 of the records: old$/,
    ],
    [
      'a rejected record as a number',
      answer(200, '{"partialSuccess":{"rejectedLogRecords":1}}', JSON_TYPE),
      /rejects 1/,
    ],
    [
      'a rejected record in the other spelling',
      answer(200, '{"partial_success":{"rejected_log_records":2}}'),
      /rejects 2/,
    ],
    ['a rejected record in protobuf', answer(200, REJECTED_PROTOBUF, PROTOBUF), /rejects 3/],
  ] as const) {
    test(name, () => {
      const judgement = judge(attempt, OPTIONS);
      assert.equal(judgement.kind, 'refused');
      assert.match(judgement.text, text);
    });
  }
});

const RETRIED: readonly (readonly [string, Attempt, boolean, RegExp])[] = [
  ['429', answer(429), false, /overloaded/],
  ['502', answer(502), false, /overloaded/],
  ['503', answer(503, '{"code":14}', JSON_TYPE), false, /overloaded/],
  ['504', answer(504), false, /overloaded/],
  ['408', answer(408), false, /HTTP 408/],
  ['ECONNREFUSED', broken('ECONNREFUSED'), false, /nothing listens/],
  ['ECONNRESET', broken('ECONNRESET'), false, /closes the connection/],
  ['ETIMEDOUT', broken('ETIMEDOUT'), false, /does not answer in time/],
  ['ENOTFOUND', broken('ENOTFOUND'), false, /cannot be resolved/],
  [
    'every address refused',
    { error: new AggregateError([new Error('x', {}), broken('ECONNREFUSED')]) },
    true,
    /cannot export/,
  ],
  ['a body cut off', answer(200, '{"par', JSON_TYPE, true), false, /breaks off/],
  ['an empty body cut off', answer(200, '', JSON_TYPE, true), false, /breaks off/],
  ['a refusal cut off', answer(400, 'x', JSON_TYPE, true), false, /HTTP 400/],
  ['401', answer(401), true, /OTEL_EXPORTER_OTLP_HEADERS/],
  ['403', answer(403), true, /OTEL_EXPORTER_OTLP_HEADERS/],
  ['404', answer(404), true, /not an OTLP path/],
  ['405', answer(405), true, /not an OTLP path/],
  ['415', answer(415), true, /encoding/],
  ['500', answer(500, '{"message":"Permanent error"}', JSON_TYPE), true, /Permanent error/],
  ['501', answer(501), true, /HTTP 501/],
  ['302', answer(302), true, /redirect/],
  ['TLS', broken('SELF_SIGNED_CERT_IN_CHAIN'), true, /OTEL_EXPORTER_OTLP_CERTIFICATE/],
  ['another protocol', broken('HPE_INVALID_CONSTANT'), true, /does not speak HTTP/],
  ['200 with a page', answer(200, '<html>', 'text/html'), true, /not OTLP \(HTTP 200, text\/html\)/],
  ['200 with a page that says it is JSON', answer(200, '<html>', JSON_TYPE), true, /not OTLP/],
  ['200 with a page that says it is protobuf', answer(200, '<html>', PROTOBUF), true, /not OTLP/],
  ['200 with a page without a type', answer(200, 'ok'), true, /no content type/],
  ['200 with a JSON text', answer(200, '"ok"', JSON_TYPE), true, /not OTLP/],
  ['200 with null', answer(200, 'null', JSON_TYPE), true, /not OTLP/],
  ['200 with a list', answer(200, '[]', JSON_TYPE), true, /not OTLP/],
  ['a partial success that is none', answer(200, '{"partialSuccess":7}', JSON_TYPE), true, /not OTLP/],
  ['a count that is none', answer(200, '{"partialSuccess":{"rejectedLogRecords":"many"}}'), true, /not OTLP/],
  ['a negative count', answer(200, '{"partialSuccess":{"rejectedLogRecords":-1}}'), true, /not OTLP/],
  ['truncated protobuf', answer(200, REJECTED_PROTOBUF.subarray(0, 3), PROTOBUF), true, /not OTLP/],
];

describe('sent again', () => {
  for (const [name, attempt, alarm, text] of RETRIED) {
    test(`${name}${alarm ? ', with an alarm' : ''}`, () => {
      const judgement = judge(attempt, OPTIONS);
      assert.equal(judgement.kind, 'retry');
      assert.match(judgement.text, text);
      assert.equal(judgement.alarm, alarm);
    });
  }

  test('not before the time that the server asks for', () => {
    const judgement = judge({ ...answer(429), headers: { 'retry-after': '60' } }, OPTIONS);
    assert.equal(judgement.kind === 'retry' && judgement.afterMs, 60_000);
  });
});

describe('whatever comes back', () => {
  test('is judged without an exception, and only a 2xx acknowledges', () => {
    holds(
      property(
        integer({ min: 100, max: 999 }),
        uint8Array(),
        constantFrom(JSON_TYPE, PROTOBUF, 'text/html', ''),
        boolean(),
        (status, body, type, cutOff) => {
          const { kind } = judge({ status, headers: { 'content-type': type }, body, cutOff }, OPTIONS);
          assert.ok(kind !== 'acknowledged' || (status >= 200 && status < 300 && !cutOff));
        },
      ),
    );
    holds(property(anything(), (error) => assert.equal(judge({ error }, OPTIONS).kind, 'retry')));
  });
});

describe('the result of an exporter', () => {
  const FAILED = ExportResultCode.FAILED;
  const http = (code: number, data?: string) => Object.assign(new Error('no'), { code, data });

  test('that carries a judgement is that judgement', () => {
    const failure: Judgement = { kind: 'refused', text: 'no' };
    assert.equal(judgeResult({ code: FAILED, error: new DeliveryError(failure) }, OPTIONS), failure);
  });

  for (const [name, error, kind] of [
    ['without an error', undefined, 'retry'],
    ['with any error', new Error('no'), 'retry'],
    ['with a status that refuses', http(400, 'bad'), 'refused'],
    ['with a status that passes', http(503), 'retry'],
    ['with a success that it calls a failure', http(200), 'retry'],
  ] as const) {
    test(`of somebody else ${name}: ${kind}`, () => {
      const result = { code: FAILED, ...(error && { error }) };
      assert.equal(judgeResult(result, OPTIONS).kind, kind);
    });
  }
});
