import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { eventTime } from '../../../src/event/clock.ts';
import { eventJsonSchema } from '../../../src/event/json-schema.ts';
import { createVerifier } from '../../../src/event/verify.ts';
import { judge, type Attempt } from '../../../src/export/acknowledgement.ts';
import { createProbe } from '../../../src/export/probe-record.ts';
import { endpointFinding } from '../../../src/service/doctor/endpoints.ts';

const ENDPOINT = 'https://c.example/v1/logs';
const NOW = 1_800_000_000_000;

const answered = (status: number, body = '', headers = {}): Attempt => ({
  status,
  headers,
  body: Buffer.from(body),
  cutOff: false,
});
const broken = (code: string): Attempt => ({ error: Object.assign(new Error(code), { code }) });

function find(attempt: Attempt, named = false) {
  const judgement = judge(attempt, { endpoint: ENDPOINT, nowMs: NOW });
  const failed = judgement.kind === 'acknowledged' ? undefined : new Error(judgement.text);
  const plan = { name: 'siem', kind: 'otlp', required: true } as const;
  return endpointFinding(named ? { ...plan, endpoint: { url: ENDPOINT } } : plan, {
    endpoint: ENDPOINT,
    uid: 'u',
    judgement,
    attempt,
    failed,
    elapsedMs: 12.4,
  });
}

const cases: readonly [what: string, attempt: Attempt, exit: 0 | 1 | 4, found: RegExp][] = [
  ['an empty 200', answered(200), 0, /has acknowledged the record u in 12 ms \(HTTP 200\)$/],
  ['a 204', answered(204), 0, /\(HTTP 204\)$/],
  ['a refused connection', broken('ECONNREFUSED'), 4, /^nothing listens at https:.* \(12 ms\)$/],
  ['a name that is not known', broken('ENOTFOUND'), 4, /cannot be resolved/],
  ['an answer that does not come', broken('ETIMEDOUT'), 4, /does not answer in time/],
  ['a certificate that is not trusted', broken('SELF_SIGNED_CERT_IN_CHAIN'), 1, /cannot be trusted/],
  ['a 401', answered(401), 1, /refuses the credentials \(HTTP 401\)/],
  ['a 403', answered(403), 1, /refuses the credentials \(HTTP 403\)/],
  ['a 404', answered(404), 1, /is not an OTLP path \(HTTP 404\)/],
  ['a 400', answered(400, '{"message":"bad wolf"}'), 1, /refuses the data \(HTTP 400\): bad wolf/],
  ['a 500', answered(500), 1, /refuses the data \(HTTP 500\)/],
  ['a 429', answered(429, '', { 'retry-after': '7' }), 4, /\(12 ms; it asks for 7\.0 s of patience/],
  [
    'a page',
    answered(200, '<html>', { 'content-type': 'text/html' }),
    1,
    /not OTLP \(HTTP 200, text\/html\)/,
  ],
  ['a partial success', answered(200, '{"partialSuccess":{"rejectedLogRecords":1}}'), 1, /rejects 1 of/],
];

for (const [what, attempt, exit, found] of cases) {
  test(`${what}: exit ${exit}`, () => {
    const finding = find(attempt);
    assert.match(finding.found, found);
    assert.deepEqual([finding.level, finding.exit ?? 0], [exit === 0 ? 'ok' : 'fail', exit]);
    assert.equal(finding.facts?.['elapsed_ms'], 12);
    assert.equal(finding.advice, undefined);
  });
}

test('an endpoint of the config is told where its settings stand', () => {
  assert.match(find(answered(401), true).advice ?? '', /exporters\.otlp\.endpoints\.siem of verdict\.yaml/);
});

test('the record that is sent is one of the schema, in a stream of its own that verify counts apart', () => {
  const { uid, record } = createProbe({
    resource: resourceFromAttributes({}),
    service: { name: 's', instanceId: 'i', version: '1' },
    time: eventTime(BigInt(NOW) * 1_000_000n),
  });
  const validate = new Ajv2020({ strict: true }).compile(eventJsonSchema());
  assert.ok(validate(JSON.parse(record.body)), JSON.stringify(validate.errors));
  const verifier = createVerifier();
  verifier.add(record.body, { ...record.attributes, 'event.name': record.eventName });
  assert.deepEqual([verifier.report().probes, verifier.report().records], [1, 0]);
  assert.equal(record.attributes['log.record.uid'], uid);
  assert.equal(record.attributes['verdict.lifecycle.state'], 'doctor');
});
