/**
 * Characters that no line of a log should hold as they are: they move a terminal's cursor, hide, turn text round, or
 * are a line end to some reader.
 */

/** Control and format characters, which include bidi marks, and the Unicode line ends. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
export const UNSAFE_ALL = new RegExp(UNSAFE, 'gu');

/** JSON that means the same, safe in lines and terminals: such characters stand only in strings, and are escaped there. */
export function safeJson(json: string): string {
  return UNSAFE.test(json) ? json.replace(UNSAFE_ALL, units) : json;
}

/** Each UTF-16 code unit as `\uXXXX`. */
export function units(text: string): string {
  let escaped = '';
  for (let index = 0; index < text.length; index += 1) {
    escaped += `\\u${text.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}
