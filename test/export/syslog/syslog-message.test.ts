import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatNamed } from '../../../src/format/formats.ts';
import type { FormattedRecord } from '../../../src/format/record.ts';
import { FACILITIES, syslogFrame } from '../../../src/export/syslog/syslog-message.ts';
import type { Facility } from '../../../src/export/syslog/syslog-message.ts';

const format = formatNamed('json')!;

interface Given {
  readonly severity?: number;
  readonly resource?: FormattedRecord['origin']['resource'];
  readonly attributes?: FormattedRecord['content']['attributes'];
  readonly body?: string;
  readonly nanoseconds?: number;
  readonly facility?: Facility;
}

function frameOf(given: Given): string {
  const record: FormattedRecord = {
    body: given.body ?? '{"a":1}',
    content: {
      eventName: 'verdict.decision',
      severityNumber: given.severity ?? 9,
      timestamp: [1_795_338_000, given.nanoseconds ?? 123_456_789],
      attributes: given.attributes ?? {},
    },
    origin: { resource: given.resource ?? {}, scope: { name: 'mcp-verdict' } },
  };
  return syslogFrame(record, { format, facility: given.facility ?? 'local0' });
}

/** RFC 5424, section 6, as one expression. */
const MESSAGE =
  /^(\d+) <(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) \[verdict@32473((?: [a-z]+="(?:\\["\\\]]|[^"\\\]])*")*)\] (.*)$/s;

describe('a syslog message', () => {
  test('is a golden one', () => {
    const frame = frameOf({
      severity: 13,
      resource: {
        'host.name': 'gate-1',
        'service.name': 'mcp-verdict',
        'service.instance.id': '5b1a4f0e-8f5e-4a9b-9d39-0d9c3a6a0001',
      },
      attributes: {
        'log.record.uid': '019aaaaa-0000-7000-8000-000000000002',
        'verdict.stream.id': '019aaaaa-0000-4000-8000-0000000000aa',
        'verdict.stream.sequence': 7,
      },
      body: '{"a":"é"}',
    });
    const message =
      '<132>1 2026-11-22T09:00:00.123456Z gate-1 mcp-verdict 5b1a4f0e-8f5e-4a9b-9d39-0d9c3a6a0001 verdict.decision ' +
      '[verdict@32473 uid="019aaaaa-0000-7000-8000-000000000002" stream="019aaaaa-0000-4000-8000-0000000000aa" sequence="7"] ' +
      '{"a":"é"}';
    assert.equal(frame, `${Buffer.byteLength(message)} ${message}`);
  });

  test('has a dash where nothing is known', () => {
    assert.match(frameOf({}), /^\d+ <134>1 \S+ - - - verdict\.decision \[verdict@32473\] \{"a":1\}$/);
  });

  for (const [severity, expected] of [
    [5, 7],
    [9, 6],
    [10, 5],
    [13, 4],
    [17, 3],
    [21, 2],
  ] as const) {
    test(`of severity ${severity} is ${expected} in each facility`, () => {
      for (const [facility, number] of Object.entries(FACILITIES)) {
        const priority = MESSAGE.exec(frameOf({ severity, facility: facility as Facility }))?.[2];
        assert.equal(Number(priority), number * 8 + expected);
      }
    });
  }

  test('is one frame whatever stands in it, its length in bytes', () => {
    const any = fc.string({ unit: 'grapheme', maxLength: 300 });
    fc.assert(
      fc.property(any, any, any, fc.nat(999_999_999), (text, host, uid, nanoseconds) => {
        const body = JSON.stringify({ text });
        const frame = frameOf({
          body,
          nanoseconds,
          resource: { 'host.name': host, 'service.name': host, 'service.instance.id': host },
          attributes: { 'log.record.uid': uid },
        });
        const match = MESSAGE.exec(frame);
        assert.ok(match, frame);
        assert.equal(Number(match[1]), Buffer.byteLength(frame.slice(frame.indexOf(' ') + 1)));
        assert.equal(match[9], body);
        const said = /^ uid="(.*)"$/s.exec(match[8] ?? '')?.[1];
        assert.equal(said?.replace(/\\(["\\\]])/g, '$1'), uid);
      }),
    );
  });
});
