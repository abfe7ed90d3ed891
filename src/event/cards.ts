/** Card numbers (ISO/IEC 7812) in text, in any of the ways in which people group their digits. */

interface Span {
  readonly start: number;
  readonly end: number;
}

const ZERO = 48;
const CARD_DIGITS_MIN = 13;
const CARD_DIGITS_MAX = 19;
/** Digits with at most one separator between two. */
const DIGIT_RUN = /(?<!\d\.|\d)\d(?:[ \t\u00a0._/\u200b-\u200d\u2010-\u2015\u2060\ufeff-]?\d){12,}/g;
/** Cards are written in groups of three or more; a shorter one is part of a date or a list. */
const GROUP_DIGITS_MIN = 3;
const GROUPS_MAX = Math.ceil(CARD_DIGITS_MAX / GROUP_DIGITS_MIN);

/** One in some thousand UUIDs has digits that would do for a card; an id that is hidden finds nothing any more. */
const UUID = /((?<![0-9a-z-])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-z-]))/i;

/** Card numbers become `[redacted:card]`. */
export function hideCards(text: string): string {
  // The capture puts every UUID at an odd place.
  return text
    .split(UUID)
    .map((part, index) => (index % 2 === 1 ? part : hideIn(part)))
    .join('');
}

function hideIn(text: string): string {
  return text.replace(DIGIT_RUN, (run) => {
    let shown = '';
    let done = 0;
    for (const { start, end } of cardSpans(run)) {
      if (end <= done) continue;
      shown += start < done ? '' : `${run.slice(done, start)}[redacted:card]`;
      done = end;
    }
    return shown + run.slice(done);
  });
}

/** Spans of whole groups that together are a card number, by their start. */
function cardSpans(run: string): readonly Span[] {
  const groups = [...run.matchAll(/\d+/g)];
  const spans: Span[] = [];
  groups.forEach((first, from) => {
    let digits = '';
    for (const [at, group] of groups.slice(from, from + GROUPS_MAX).entries()) {
      if (group[0].length < GROUP_DIGITS_MIN) break;
      digits += group[0];
      // Two groups are a decimal fraction or two numbers, and digits after a point are a fraction.
      const fraction = at === 1 || (at === 0 && run[group.index - 1] === '.');
      if (!fraction && isCard(digits)) spans.push({ start: first.index, end: group.index + group[0].length });
    }
  });
  return spans;
}

/** Whether digits alone are a card number: length, first digit, Luhn. */
export function isCard(digits: string): boolean {
  // 1 begins the times in milli-, micro- and nanoseconds of these decades, 0 begins no card.
  if (digits.length < CARD_DIGITS_MIN || digits.length > CARD_DIGITS_MAX || !/^[2-9]/.test(digits))
    return false;
  let sum = 0;
  for (let place = 0; place < digits.length; place += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - place) - ZERO;
    const doubled = digit * 2;
    sum += place % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
