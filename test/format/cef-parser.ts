/**
 * CEF:0 as its specification has it, and nothing that a lenient parser would let pass: seven header fields, pairs behind
 * them, each key once, no escape but CEF's own, no line end. Reads what `mcpVerdictQuoted` names as cef-text.ts says.
 */
import assert from 'node:assert/strict';

export interface CefLine {
  readonly version: string;
  readonly vendor: string;
  readonly product: string;
  readonly productVersion: string;
  readonly classId: string;
  readonly name: string;
  readonly severity: number;
  /** With CEF's escapes in them. */
  readonly written: ReadonlyMap<string, string>;
  /** As CEF says them. */
  readonly values: ReadonlyMap<string, string>;
  /** The same, with what is quoted as it was before. */
  readonly meant: ReadonlyMap<string, string>;
  readonly cut: ReadonlySet<string>;
}

const HEADER_FIELDS = 7;
/** Line ends and what moves or hides text, whatever reader looks at it. */
export const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Throws AssertionError on what is not exactly one record. */
export function parseCef(line: string): CefLine {
  assert.ok(line.isWellFormed(), 'not Unicode');
  assert.ok(!UNSAFE.test(line), 'a character that is no text');
  assert.ok(line.startsWith('CEF:'));
  const { fields, rest } = splitHeader(line.slice('CEF:'.length));
  const [
    version = '',
    vendor = '',
    product = '',
    productVersion = '',
    classId = '',
    name = '',
    severity = '',
  ] = fields;
  assert.match(severity, /^(?:10|\d)$/);
  for (const field of fields) assert.notEqual(field, '', 'an empty header field');
  const written = parsePairs(rest);
  const values = new Map([...written].map(([key, value]) => [key, unescape(value)]));
  const named = (key: string): ReadonlySet<string> =>
    new Set((values.get(key) ?? '').split(',').filter(Boolean));
  const [quoted, cut] = [named('mcpVerdictQuoted'), named('mcpVerdictCut')];
  for (const key of [...quoted, ...cut]) assert.ok(values.has(key), `${key} is named and not there`);
  const meant = new Map([...values].map(([key, value]) => [key, quoted.has(key) ? unquote(value) : value]));
  return {
    version,
    vendor,
    product,
    productVersion,
    classId,
    name,
    severity: Number(severity),
    written,
    values,
    meant,
    cut,
  };
}

function splitHeader(text: string): { fields: string[]; rest: string } {
  const fields: string[] = [];
  let field = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '|') {
      fields.push(field);
      field = '';
      if (fields.length === HEADER_FIELDS) return { fields, rest: text.slice(at + 1) };
    } else if (character === '\\') {
      at += 1;
      assert.ok(text[at] === '\\' || text[at] === '|', `an escape that is none in a header: \\${text[at]}`);
      field += text[at];
    } else field += character;
  }
  return assert.fail('a header that breaks off');
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\', '=': '=', n: '\n', r: '\r' };

function parsePairs(text: string): Map<string, string> {
  const values = new Map<string, string>();
  // A pair begins where letters and digits stand before an equals sign that nothing escapes.
  const starts = [...text.matchAll(/(?:^| )([A-Za-z0-9]+)=/g)];
  assert.equal(starts[0]?.index, 0, 'a text before the first key');
  for (const [index, start] of starts.entries()) {
    const from = start.index + start[0].length;
    const key = start[1] ?? '';
    assert.ok(!values.has(key), `${key} twice`);
    values.set(key, text.slice(from, starts[index + 1]?.index ?? text.length));
    assert.notEqual(values.get(key), '', `${key} is empty`);
  }
  return values;
}

function unescape(value: string): string {
  assert.ok(!/=/.test(value.replaceAll(/\\[\\=nr]/g, '')), `an equals sign that is not escaped: ${value}`);
  return value.replaceAll(/\\(.)?/gu, (_, escaped: string | undefined) => {
    const character = escaped === undefined ? undefined : ESCAPES[escaped];
    return character ?? assert.fail(`an escape that is none: \\${escaped ?? ''}`);
  });
}

function unquote(value: string): string {
  return value.replaceAll(/\\(?:\\|u([0-9a-f]{4}))?/g, (escape, unit: string | undefined) => {
    if (escape === '\\\\') return '\\';
    return unit === undefined
      ? assert.fail(`no quoted text: ${value}`)
      : String.fromCharCode(parseInt(unit, 16));
  });
}
