/** Whatever stands in a record, a line of it is one record, and says all that the record says. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bodyHash } from '../../src/event/stamp.ts';
import { EVENT_NAMES } from '../../src/event/vocabulary.ts';
import { cefFormat } from '../../src/format/cef.ts';
import { FORMATS } from '../../src/format/formats.ts';
import { ocsfFormat } from '../../src/format/ocsf.ts';
import { otlpJsonFormat } from '../../src/format/otlp-json.ts';
import type { FormattedRecord } from '../../src/format/record.ts';
import { runs } from '../support/runs.ts';
import { parseCef, UNSAFE } from './cef-parser.ts';
import type { CefLine } from './cef-parser.ts';
import { hostileRecord } from './hostile-records.ts';
import { chainOf, NASTY } from './samples.ts';

const property = (check: (record: FormattedRecord) => void): void =>
  fc.assert(fc.property(hostileRecord, check), { numRuns: runs(30) });

/** Scalars and the items of lists, as text. */
function leaves(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(leaves);
  return [String(value)];
}

for (const format of FORMATS) {
  test(`${format.name}: a line is one line of UTF-8, and the same each time`, () => {
    property((record) => {
      const line = format.encode(record);
      assert.ok(!/[\n\r]/.test(line) && line.isWellFormed() && line !== '');
      // The body is the body: what RFC 8785 does not escape is not escaped there.
      if (format.name !== 'json') assert.ok(!UNSAFE.test(line), 'a character that is no text');
      assert.equal(format.encode({ ...record }), line);
    });
  });
}

test('otlp-json: the body is the body, and the attributes are its members', () => {
  property((record) => {
    const parsed = JSON.parse(otlpJsonFormat.encode(record)) as OtlpLine;
    const [log] = parsed.resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [];
    assert.equal(log?.body.stringValue, record.body);
    assert.deepEqual(
      log?.attributes.map(({ key }) => key),
      Object.keys(record.content.attributes),
    );
  });
});

interface OtlpLine {
  readonly resourceLogs: {
    readonly scopeLogs: {
      readonly logRecords: {
        readonly body: { readonly stringValue: string };
        readonly attributes: { readonly key: string }[];
      }[];
    }[];
  }[];
}

describe('ocsf', () => {
  test('says every value of the record outside of raw_data too', () => {
    property((record) => {
      const { raw_data: raw, raw_data_hash: hash, ...rest } = JSON.parse(ocsfFormat.encode(record)) as Ocsf;
      assert.equal(raw, record.body);
      assert.equal(hash.value, bodyHash(record.body));
      const said = new Set(leaves(rest));
      const lost = leaves(record.content.attributes).filter((leaf) => !said.has(leaf));
      assert.deepEqual(lost, []);
    });
  });
});

interface Ocsf {
  readonly raw_data: string;
  readonly raw_data_hash: { readonly value: string };
}

const KINDS: ReadonlySet<string> = new Set(EVENT_NAMES);

const integerTo =
  (max: number) =>
  (text: string): boolean =>
    /^(?:0|[1-9]\d*)$/.test(text) && Number(text) <= max;

/** Bytes at most, or what else a value of CEF's dictionary has to be; and of our own custom keys. */
const DICTIONARY: readonly (readonly [keys: RegExp, rule: number | ((text: string) => boolean)])[] = [
  [/^(?:act|outcome)$/, 63],
  [/^app$/, 31],
  [
    /^(?:cat|msg|reason|request|requestMethod|requestClientApplication|s(?:uid|user|proc|ourceServiceName))$/,
    1023,
  ],
  [/^(?:dhost|destinationServiceName|deviceProcessName|cs\dLabel|cn\dLabel|c6a\dLabel|flexString\d)$/, 1023],
  [/^cs\d$/, 4000],
  [/^flexString\dLabel$/, 128],
  [/^dvchost$/, 100],
  [/^deviceExternalId$/, 255],
  [/^externalId$/, 40],
  [/^devicePayloadId$/, 128],
  [/^(?:src|dst)$/, (text) => isIP(text) === 4],
  [/^c6a[23]$/, (text) => isIP(text) === 6],
  [/^(?:rt|cn\d)$/, integerTo(Number.MAX_SAFE_INTEGER)],
  [/^out$/, integerTo(2 ** 31 - 1)],
  [/^dpt$/, integerTo(65_535)],
  [/^mcpVerdict(?:Stream|Decision)$/, 1023],
  [/^mcpVerdictFields$/, 4000],
  [/^mcpVerdict(?:Cut|Quoted)$/, (text) => /^[A-Za-z0-9,]+$/.test(text)],
];

describe('cef', () => {
  test('parses back, and what is missing is named as cut', () => {
    property((record) => {
      const line = parseCef(cefFormat.encode(record));
      const { eventName, attributes, timestamp } = record.content;
      assert.equal(line.version, '0');
      assert.equal(line.values.get('rt'), String(timestamp[0] * 1000 + Math.floor(timestamp[1] / 1e6)));
      assert.equal(line.values.get('flexString1'), bodyHash(record.body));
      const name = KINDS.has(eventName) ? {} : { 'event.name': eventName };
      assert.deepEqual(lostKeys(line, { ...attributes, ...name }), []);
    });
  });

  /** Keys of the event whose value neither a CEF key nor `mcpVerdictFields` says, though nothing of it was cut. */
  function lostKeys({ meant, cut }: CefLine, attributes: Readonly<Record<string, unknown>>): string[] {
    const fields = JSON.parse(meant.get('mcpVerdictFields') ?? '{}') as Record<string, unknown>;
    const whole = new Set([...meant].filter(([key]) => !cut.has(key)).map(([, value]) => value));
    const heads = [...cut].map((key) => (meant.get(key) ?? '').replace(/….*$/su, ''));
    return Object.entries(attributes).flatMap(([key, value]) => {
      if (Object.hasOwn(fields, key)) {
        assert.deepEqual(fields[key], value);
        return [];
      }
      if (cut.has('mcpVerdictFields') || whole.has(String(value))) return [];
      if (key === 'verdict.decision.enforced')
        return meant.get('act') === 'observe' || value === true ? [] : [key];
      return typeof value === 'string' && heads.some((head) => value.startsWith(head)) ? [] : [key];
    });
  }

  test('keeps to the lengths and types of the dictionary', () => {
    property((record) => {
      for (const [key, value] of parseCef(cefFormat.encode(record)).values) {
        const rule = DICTIONARY.find(([keys]) => keys.test(key))?.[1];
        assert.ok(rule !== undefined, `${key} is not in the dictionary`);
        if (typeof rule === 'number') assert.ok(Buffer.byteLength(value) <= rule, `${key} is too long`);
        else assert.ok(rule(value), `${key}: ${value}`);
      }
    });
  });

  test('no value makes a pair, whatever it holds', () => {
    const keysOf = (text: string): string[] => {
      const attributes = {
        'verdict.decision.effect': 'deny',
        'verdict.decision.enforced': true,
        'verdict.decision.message': text,
        'user.id': text,
        'verdict.later': text,
      };
      const [made] = chainOf([{ name: 'x', eventName: 'verdict.decision', severity: 13, attributes }]);
      assert.ok(made);
      return [...parseCef(cefFormat.encode(made.record)).values.keys()].filter(
        (key) => key !== 'mcpVerdictQuoted',
      );
    };
    assert.deepEqual(keysOf(NASTY), keysOf('plain'));
  });
});

describe('a megabyte', () => {
  const big = `${NASTY}${'\u202e😀='.repeat(2 ** 12)}${'x'.repeat(2 ** 20)}`;
  const attributes = {
    'verdict.decision.effect': 'deny',
    'verdict.decision.message': big,
    'verdict.server.name': 'files',
    'gen_ai.tool.name': big,
  };
  const [made] = chainOf([{ name: 'big', eventName: 'verdict.decision', severity: 13, attributes }]);
  const record = made?.record;

  test('is one record in each format that carries it', () => {
    assert.ok(record);
    for (const format of FORMATS.filter(({ carriesBody }) => carriesBody)) {
      const line = format.encode(record);
      assert.ok(line.length > record.body.length / 2 && !/[\n\r]/.test(line));
      JSON.parse(line);
    }
  });

  test('is cut to what CEF holds, on the border of a character, and said to be', () => {
    assert.ok(record);
    const line = parseCef(cefFormat.encode(record));
    assert.deepEqual([...line.cut].sort(), ['mcpVerdictFields', 'msg', 'request']);
    for (const [key, bytesMax] of [
      ['msg', 1023],
      ['request', 1023],
      ['mcpVerdictFields', 4000],
    ] as const) {
      assert.ok(Buffer.byteLength(line.values.get(key) ?? '') <= bytesMax, key);
    }
    const message = line.meant.get('msg') ?? '';
    assert.ok(message.endsWith('…') && message.length > 100);
    assert.ok(big.startsWith(message.slice(0, -1)));
  });
});
