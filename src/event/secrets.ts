/**
 * Secrets inside text, found by their form. Each pattern is linear: no quantifier inside a quantifier, and where one
 * is unbounded its matches cannot overlap. Each also matches a secret whose end was cut off.
 */
import { isSecretName } from './secret-name.ts';

interface Pattern {
  readonly name: string;
  /** With the flag `g`. Group 1, where there is one, stays; so does group 2. */
  readonly form: RegExp;
  /** A second look at what the form found. */
  readonly holds?: (found: string) => boolean;
}

const PATTERNS: readonly Pattern[] = [
  {
    name: 'private-key',
    form: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g,
  },
  { name: 'private-key', form: /AGE-SECRET-KEY-1[0-9A-Z]{20,}|PuTTY-User-Key-File-[^]*/g },
  // Any JSON object in base64, signed or not: what is in it cannot be seen, so all of it is hidden.
  { name: 'jwt', form: /eyJ[\w+/=-]{8,}(?:\.[\w+/=-]*){0,4}/g },
  { name: 'userinfo', form: /(:\/\/)[^\s/?#"'<>]+(@)/g, holds: (found) => found !== '://git@' },
  { name: 'aws', form: /(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}/g },
  { name: 'google', form: /AIza[\w-]{30,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{20,}|\b1\/\/0[\w-]{30,}/g },
  { name: 'azure', form: /[\w~.-]{3}[78]Q~[\w~.-]{31,34}/g },
  { name: 'github', form: /gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}/g },
  { name: 'gitlab', form: /gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[\w-]{16,}/g },
  {
    name: 'slack',
    form: /xox[a-z](?:\.xox[a-z])?-[\w-]{8,}|xapp-[\w-]{8,}|(hooks\.slack\.com\/(?:services|workflows)\/)[\w/-]+/g,
  },
  { name: 'stripe', form: /[prs]k_(?:live|test)_\w{8,}|whsec_[\w+/=]{16,}/g },
  { name: 'npm', form: /npm_[A-Za-z0-9]{30,}/g },
  { name: 'pypi', form: /pypi-[\w-]{30,}/g },
  {
    name: 'ai-key',
    form: /(?<![A-Za-z0-9])sk-[\w-]{16,}|(?<![A-Za-z0-9])(?:hf_|r8_|gsk_|xai-|pplx-)[A-Za-z0-9]{20,}/g,
  },
  { name: 'vault', form: /(?<![A-Za-z0-9])hv[sbr]\.[\w-]{20,}/g },
  { name: 'sendgrid', form: /SG\.[\w-]{16,}\.[\w-]{16,}/g },
  {
    name: 'service-key',
    form: /(?<![A-Za-z0-9])(?:dapi|do[opr]_v1_|dckr_pat_|shp(?:at|ca|pa|ss)_|lin_api_|ntn_|secret_|ATATT3|glsa_|glc_|sbp_|PMAK-|NRAK-|figd_|tvly-|rubygems_)[\w=-]{32,}/g,
  },
  { name: 'twilio', form: /(?<![A-Za-z0-9])SK[0-9a-f]{32}/g },
  { name: 'telegram', form: /(?<!\d)\d{8,10}:AA[\w-]{32,34}/g },
  { name: 'bearer', form: /(\bBearer[ \t]+)[\w.~+/=:-]{4,}/gi },
  {
    name: 'basic',
    form: /(\bBasic[ \t]+)[\w+/=-]{8,}/gi,
    holds: (found) => /[0-9=+/]|[a-z][A-Z]/.test(found.slice(6)),
  },
];

/** No form is shorter, but for those with a space or what joins a name to its value. Most names are. */
const FORM_CHARS_MIN = 11;

/** Text with what looks like a secret replaced by `[redacted:NAME]`. */
export function hideSecrets(text: string): string {
  if (text.length < FORM_CHARS_MIN && !/[\s:=]/.test(text)) return text;
  let plain = /[:=]/.test(text) ? hideNamed(text, ASSIGNMENT) : text;
  plain = hideNamed(plain, FLAG);
  for (const { name, form, holds } of PATTERNS) {
    plain = plain.replace(form, (found: string, before?: unknown, after?: unknown) => {
      if (holds && !holds(found)) return found;
      // Without groups the arguments after the match are an offset and the whole text.
      const keep = typeof before === 'string' ? before : '';
      return `${keep}[redacted:${name}]${keep !== '' && after === '@' ? '@' : ''}`;
    });
  }
  return hideCards(plain);
}

/* A name, what joins it to its value, and the value: `password=x`, `"token": "x"`, `Authorization: Basic x`. A run of
   name characters is tried from its beginning only, which keeps the search linear. */
const ASSIGNMENT =
  /(?<![\p{L}\p{N}_.\-\u200b-\u200d\u2060\ufeff])([\p{L}\p{N}_.\-\u200b-\u200d\u2060\ufeff]+)(?:\\*["'`])?\s{0,8}(?:=>|[:!~+]?={1,3}|:)\s{0,8}/gu;
/** `--password x` */
const FLAG = /(?<![\p{L}\p{N}_.-])--?([\p{L}\p{N}_.-]+)[ \t]+(?!-)/gu;

/** Names whose unquoted value goes to the end of the line. */
const LINE_NAMES = /authorization|cookie|passphrase|mnemonic|phrase/i;
/** What may stand before a name that begins its line; there too the value goes to the end of the line. */
const LINE_START = /(?:^|[\r\n])[ \t]*(?:export |set |\$env:)?$/i;
const LINE_START_CHARS = 24;

function hideNamed(text: string, form: RegExp): string {
  let hidden = '';
  let done = 0;
  for (const match of text.matchAll(form)) {
    if (match.index < done || !isSecretName(match[1] ?? '')) continue;
    const from = match.index + match[0].length;
    const before = text.slice(Math.max(0, match.index - LINE_START_CHARS), match.index);
    const toLineEnd = LINE_NAMES.test(match[1] ?? '') || LINE_START.test(before);
    const value = valueAt(text, from, form === ASSIGNMENT && toLineEnd);
    if (value.start === value.end) continue;
    hidden += `${text.slice(done, value.start)}[redacted]`;
    done = value.end;
  }
  return hidden + text.slice(done);
}

interface Span {
  readonly start: number;
  readonly end: number;
}

const QUOTE = /\\*["'`]/y;
const LINE_END = /[\r\n"'`]/g;
const WORD_END = /[\s"'`,;&<>(){}[\]|]/g;

function valueAt(text: string, from: number, toLineEnd: boolean): Span {
  QUOTE.lastIndex = from;
  const quote = QUOTE.exec(text)?.[0];
  if (quote !== undefined) {
    const start = from + quote.length;
    return { start, end: closingQuote(text, start, quote) };
  }
  const border = toLineEnd ? LINE_END : WORD_END;
  border.lastIndex = from;
  return { start: from, end: border.exec(text)?.index ?? text.length };
}

/** Where the quote is closed: the same mark with no more backslashes before it. Where it is not, the text ends. */
function closingQuote(text: string, start: number, quote: string): number {
  const mark = quote.at(-1) ?? '"';
  for (let at = text.indexOf(mark, start); at >= 0; at = text.indexOf(mark, at + 1)) {
    let slashes = 0;
    while (at - slashes > start && text[at - slashes - 1] === '\\') slashes += 1;
    if (slashes < quote.length) return at - slashes;
  }
  return text.length;
}

const ZERO = 48;
const CARD_DIGITS_MIN = 13;
const CARD_DIGITS_MAX = 19;
/** Digits with at most one separator between two. */
const DIGIT_RUN = /(?<!\d\.|\d)\d(?:[ \t\u00a0._/\u200b-\u200d\u2010-\u2015\u2060\ufeff-]?\d){12,}/g;
/** Cards are written in groups of three or more; a shorter one is part of a date or a list. */
const GROUP_DIGITS_MIN = 3;
const GROUPS_MAX = Math.ceil(CARD_DIGITS_MAX / GROUP_DIGITS_MIN);

/** Card numbers (ISO/IEC 7812) become `[redacted:card]`. */
function hideCards(text: string): string {
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
