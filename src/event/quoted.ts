/** Quotes in text of any language, and in text that is itself quoted once or more (`\"`). */

export interface Span {
  readonly start: number;
  /** Past the last character. */
  readonly end: number;
}

const QUOTE = /\\*["'`]/y;

/** What stands between the quotes that open at a place; undefined where none opens. Without an end, all the rest. */
export function quotedAt(text: string, at: number): (Span & { readonly closed: boolean }) | undefined {
  QUOTE.lastIndex = at;
  const quote = QUOTE.exec(text)?.[0];
  if (quote === undefined) return undefined;
  const start = at + quote.length;
  const end = closingQuote(text, start, quote);
  return { start, end: end ?? text.length, closed: end !== undefined };
}

/** Where the quote is closed: the same mark with no more backslashes before it. */
function closingQuote(text: string, start: number, quote: string): number | undefined {
  const mark = quote.at(-1) ?? '"';
  for (let at = text.indexOf(mark, start); at >= 0; at = text.indexOf(mark, at + 1)) {
    let slashes = 0;
    while (at - slashes > start && text[at - slashes - 1] === '\\') slashes += 1;
    if (slashes < quote.length) return at - slashes;
  }
  return undefined;
}
