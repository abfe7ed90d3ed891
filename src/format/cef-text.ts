/**
 * Text as CEF takes it (Common Event Format, CEF:0). Its own escapes are four: `\\`, `\|` in the header, `\=` and the
 * two line ends in the extension. Everything else that would move a cursor, hide, or be taken for a line end by some
 * reader is written as JSON would write it, and the key is named, so that a reader can tell it from text that looks
 * like that.
 */
import { cutText } from '../event/text.ts';
import { safeJson, units, UNSAFE_ALL } from './safe-text.ts';

/** Of what is unsafe all but the line ends, which a value has escapes for. */
const UNSAFE_IN_VALUE = /[^\P{Cc}\n\r]|[\p{Cf}\p{Zl}\p{Zp}]/u;
/** ASCII that stands for itself in a value: most of them, worth a short way. */
const PLAIN = /^[ -<>-[\]-~]*$/;

const ELLIPSIS = '…';
const ELLIPSIS_BYTES = 3;

/** A field of the header. It can hold no line end, so each unsafe character is a space there. @param bytesMax of UTF-8 */
export function headerText(text: string, bytesMax: number): string {
  const { text: cut } = cutText(text, bytesMax);
  return cut.replace(UNSAFE_ALL, ' ').replaceAll('\\', '\\\\').replaceAll('|', '\\|');
}

/** The pairs behind the header, in the order in which they are added. */
export class CefExtension {
  #text = '';
  readonly #cut: string[] = [];
  readonly #quoted: string[] = [];

  /**
   * @param key of letters and digits, once
   * @param bytesMax of UTF-8 before CEF's escapes; what is longer ends in `…` and its key is named as cut
   */
  add(key: string, value: string | undefined, bytesMax: number): void {
    if (value === undefined || value === '') return;
    if (value.length <= bytesMax && PLAIN.test(value)) {
      this.#pair(key, value);
      return;
    }
    const { text, cut } = cutText(value, bytesMax);
    if (!UNSAFE_IN_VALUE.test(text)) {
      if (cut) this.#cut.push(key);
      this.#pair(key, escapeValue(text));
      return;
    }
    this.#quoted.push(key);
    const quoted = quote(text, bytesMax);
    if (cut || quoted.cut) this.#cut.push(key);
    this.#pair(key, escapeValue(quoted.text));
  }

  integer(key: string, value: number | undefined): void {
    if (value !== undefined) this.#pair(key, String(value));
  }

  /** JSON of as many members as fit; where some do not, the key is named as cut. */
  members(key: string, members: Iterable<readonly [string, unknown]>, bytesMax: number): void {
    let [json, bytes, cut] = ['', '{}'.length, false];
    for (const [name, value] of members) {
      const long = typeof value === 'string' && value.length > bytesMax;
      const member = long ? undefined : safeJson(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
      const memberBytes = member === undefined ? 0 : Buffer.byteLength(member) + ','.length;
      if (member === undefined || bytes + memberBytes > bytesMax) {
        cut = true;
        continue;
      }
      json += json === '' ? member : `,${member}`;
      bytes += memberBytes;
    }
    if (cut) this.#cut.push(key);
    if (json !== '' || cut) this.#pair(key, escapeValue(`{${json}}`));
  }

  /** All pairs, and behind them the keys of those that are not as they were. */
  end(cutKey: string, quotedKey: string): string {
    if (this.#quoted.length > 0) this.#pair(quotedKey, this.#quoted.join(','));
    if (this.#cut.length > 0) this.#pair(cutKey, this.#cut.join(','));
    return this.#text;
  }

  #pair(key: string, escaped: string): void {
    this.#text += this.#text === '' ? `${key}=${escaped}` : ` ${key}=${escaped}`;
  }
}

/** Backslash first: the others write some. */
function escapeValue(text: string): string {
  let escaped = text;
  if (escaped.includes('\\')) escaped = escaped.replaceAll('\\', '\\\\');
  if (escaped.includes('=')) escaped = escaped.replaceAll('=', '\\=');
  if (escaped.includes('\n')) escaped = escaped.replaceAll('\n', '\\n');
  if (escaped.includes('\r')) escaped = escaped.replaceAll('\r', '\\r');
  return escaped;
}

/** As in a JSON string, but for quotes and the line ends that CEF escapes. Never cut within an escape. */
function quote(text: string, bytesMax: number): { readonly text: string; readonly cut: boolean } {
  const whole = quoteAll(text);
  if (Buffer.byteLength(whole) <= bytesMax) return { text: whole, cut: false };
  const room = bytesMax - ELLIPSIS_BYTES;
  let [quoted, bytes] = ['', 0];
  for (const character of text) {
    const piece = quoteAll(character);
    bytes += Buffer.byteLength(piece);
    if (bytes > room) break;
    quoted += piece;
  }
  return { text: quoted + ELLIPSIS, cut: true };
}

function quoteAll(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replace(UNSAFE_ALL, (unsafe) => (isLineEnd(unsafe) ? unsafe : units(unsafe)));
}

function isLineEnd(character: string): boolean {
  return character === '\n' || character === '\r';
}
