/** Whether text looks as if a machine had drawn it, where a name or a sentence before it leaves that open. */

/** Letters and digits in a row; with all three kinds of them so many are enough. */
const MIXED_CHARS_MIN = 12;
/** With two kinds only: hexadecimal, base 32, the lower-case tokens of many services. A UUID has fewer in a row. */
const PLAIN_CHARS_MIN = 16;

/** Whether a value without blanks holds a long row of letters and digits in disorder. Linear. */
export function looksRandom(text: string): boolean {
  if (text.length < MIXED_CHARS_MIN || /\s/.test(text)) return false;
  const rows = text.match(/[A-Za-z0-9]{12,}/g) ?? [];
  return rows.some((row) => {
    if (!/\d/.test(row) || !/[A-Za-z]/.test(row)) return false;
    return (/[a-z]/.test(row) && /[A-Z]/.test(row)) || row.length >= PLAIN_CHARS_MIN;
  });
}

/** What digits make of words without making secrets of them. */
const TERMS = /^(?:base|sha|md|utf|oauth|rs|hs|es|aes|rsa|x|pkcs|argon|http|tls|v)-?\d{1,4}(?:-[a-z]+)*$/i;

/** Whether a word in a sentence is rather a secret than a word: digits, signs or capitals inside of it. */
export function looksChosen(word: string): boolean {
  const core = word.replace(/^[([{<]+|[.,;:!?)\]}>]+$/g, '');
  if (core.length < 4 || TERMS.test(core)) return false;
  if (/^[\d.,:/-]+$/.test(core)) return false;
  return /\d|[!@#$%^&*+=~?]|\p{Ll}\p{Lu}/u.test(core);
}
