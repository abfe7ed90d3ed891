/**
 * Secrets in text that something before them announces: a name and `=`, an option, a tag, a word of SQL, a sentence.
 * Each search is linear: what stands before a value has a bounded length or is tried from its beginning only.
 */
import { quotedAt } from './quoted.ts';
import type { Span } from './quoted.ts';
import { looksChosen, looksRandom } from './random-text.ts';
import { judgeName } from './secret-name.ts';

/** What stands before a value, and how far the value goes. */
interface Announcement {
  /** Without a match of this, which is quicker, there is none of the form. */
  readonly needs: RegExp;
  /** With the flag `g`; it ends where the value begins. Group 1, where there is one, is a name and is judged. */
  readonly form: RegExp;
  /** Where a value without quotes ends. */
  readonly ends: RegExp;
  /** Whether a value at the beginning of its line goes to the line's end, or is a block of lines. */
  readonly lines?: true;
  /** Only values in quotes. */
  readonly quoted?: true;
  /** Whether the value is a secret, where that is not certain from what stands before. */
  readonly holds?: (value: string) => boolean;
}

const WORD_END = /[\s"'`,;&<>(){}[\]|]/g;
const BLANK = /[\s"'`<>]/g;
const LINE_END = /[\r\n"'`]/g;
const TAG = /</g;

const NAME_CHARS = String.raw`\p{L}\p{N}_.\-\u200b-\u200d\u2060\ufeff`;
/** What joins a name to its value, percent-encoded too. */
const JOINT = String.raw`(?:=>|[:!~+]?={1,3}|:|：|＝|%(?:25)?3[AD](?:%2[27])?)`;

/** Words that name a secret in a sentence. */
const SPOKEN =
  '(?:pass(?:word|phrase|code|wd)s?|pwd|pin(?: code)?|otp|(?:access |auth |refresh |bearer )?tokens?|secret(?: key)?|' +
  'api[ _-]?keys?|access[ _-]key|private[ _-]key|credentials?|(?:one-time|verification|security|recovery) code|' +
  'kennwort|passwort|contraseña|mot de passe|senha|пароль)';

const SPOKEN_STEM = /pass|pwd|pin|otp|token|secret|key|credential|code|wort|contrase|senha|пароль/i;

const ANNOUNCEMENTS: readonly Announcement[] = [
  // `password=x`, `"token": "x"`, `Authorization: Basic x`, `password%3Dx`
  {
    needs: /[:=：＝]|%(?:25)?3/,
    form: new RegExp(
      String.raw`(?<![${NAME_CHARS}])([${NAME_CHARS}]+)(?:\\*["'\x60]|%2[27])?\s{0,8}${JOINT}\s{0,8}`,
      'giu',
    ),
    ends: WORD_END,
    lines: true,
  },
  // `--password x`
  {
    needs: /-[^\s-]+[ \t]/,
    form: /(?<![\p{L}\p{N}_.-])--?([\p{L}\p{N}_.-]+)[ \t]+(?!-)/gu,
    ends: WORD_END,
  },
  // `fill('#password', 'x')`, `setHeader("Authorization", "x")`
  {
    needs: /\(\s{0,4}\\*["'`]/,
    form: /\(\s{0,4}\\*["'`]([^"'`\r\n]{1,128})["'`]\s{0,4},\s{0,4}(?=\\*["'`])/g,
    ends: WORD_END,
    quoted: true,
  },
  // `config set auth_token x`
  {
    needs: /setx?[ \t]/i,
    form: /\b(?:set|setx)[ \t]+([\p{L}\p{N}_.:/-]{1,128})[ \t]+(?!to\b|for\b|[-=])/giu,
    ends: BLANK,
  },
  // SQL
  {
    needs: /identified/i,
    form: /\bidentified\s{1,8}(?:with\s{1,8}[\w"'`]{1,64}\s{1,8})?(?:by|as)\s{1,8}(?:password\s{1,8})?/gi,
    ends: WORD_END,
  },
  {
    needs: /password[\s(]/i,
    form: /\bpassword(?:\s{1,8}(?:for\s{1,8}[^\s=]{1,256}\s{0,8}=\s{0,8})?|\s{0,4}\(\s{0,4})(?=\\*['"])/gi,
    ends: WORD_END,
    quoted: true,
  },
  // netrc
  {
    needs: /login\s/,
    form: /\blogin\s{1,8}\S{1,256}\s{1,8}password\s{1,8}/g,
    ends: BLANK,
  },
  // `<password>x</password>`, `<entry key="password">x</entry>`, CDATA too
  {
    needs: /<[^<>]+>/,
    form: /<([\p{L}_][\p{L}\p{N}_.:-]{0,127})(?:\s[^<>]{0,512})?>\s{0,8}(?:<!\[CDATA\[)?/gu,
    ends: TAG,
  },
  {
    needs: /<[^<>]+=[^<>]+>/,
    form: /<[\p{L}_][^<>\s]{0,127}\s(?:[^<>"']{1,128}["'][^<>"']{0,128}["']){0,4}?[^<>"']{0,64}\b(?:name|key)\s?=\s?["']([^"'<>]{1,128})["'][^<>]{0,256}>\s{0,8}/gu,
    ends: TAG,
  },
  // `<add key="password" value="x"/>`
  {
    needs: /=\s?["']/,
    form: /\b(?:name|key|id|type|property)\s?=\s?["']([^"'<>]{1,128})["'](?:\s[^<>]{0,256}?)?\s(?:value|content)\s?=\s?(?=["'])/gi,
    ends: WORD_END,
    quoted: true,
  },
  // `my password is x`, `the token for the door was x`
  {
    needs: SPOKEN_STEM,
    form: new RegExp(
      String.raw`(?<![\p{L}\p{N}_])${SPOKEN}(?:\s{1,4}(?:for|of)\s{1,4}\S{1,64}(?:\s\S{1,64})?)?\s{1,4}(?:is|was|are|be|to|as|ist|es|est)(?: now)?[\s:]{1,4}`,
      'giu',
    ),
    ends: BLANK,
    holds: looksChosen,
  },
  // `use token x`
  {
    needs: SPOKEN_STEM,
    form: new RegExp(String.raw`(?<![\p{L}\p{N}_])${SPOKEN}\s{1,4}(?=[\w"'\x60])`, 'giu'),
    ends: BLANK,
    holds: looksRandom,
  },
  // `?key=x`, where `key` may also be what a list is sorted by
  {
    needs: /[?&]\w+=/,
    form: /[?&](?:key|code|k|s|hash|hmac|auth_?code)=/gi,
    ends: WORD_END,
    holds: (value) => value.length >= 8 && /\d/.test(value) && /[a-z]/i.test(value),
  },
];

/** Text with each value that is announced as a secret replaced by `[redacted]`. */
export function hideNamedSecrets(text: string): string {
  let plain = text;
  for (const announcement of ANNOUNCEMENTS) {
    if (announcement.needs.test(plain)) plain = hideAnnounced(plain, announcement);
  }
  return /insert/i.test(plain) ? hideInserted(plain) : plain;
}

function hideAnnounced(text: string, announcement: Announcement): string {
  let hidden = '';
  let done = 0;
  for (const match of text.matchAll(announcement.form)) {
    if (match.index < done) continue;
    const value = secretAfter(text, match, announcement);
    if (value === undefined || value.start >= value.end) continue;
    hidden += `${text.slice(done, value.start)}[redacted]`;
    done = value.end;
  }
  return hidden + text.slice(done);
}

function secretAfter(text: string, match: RegExpExecArray, announcement: Announcement): Span | undefined {
  const name = match[1];
  const judgement = name === undefined ? 'secret' : judgeName(name);
  if (judgement === 'open') return undefined;
  const from = match.index + match[0].length;
  const quoted = quotedAt(text, from);
  if (announcement.quoted === true && quoted === undefined) return undefined;
  const holds = judgement === 'about' ? looksRandom : announcement.holds;
  if (quoted !== undefined) {
    return holds === undefined || holds(text.slice(quoted.start, quoted.end)) ? quoted : undefined;
  }
  const whole =
    judgement === 'secret' && announcement.lines === true ? lineValue(text, match, from) : undefined;
  const value = whole ?? { start: from, end: endOf(text, from, announcement.ends) };
  const shown = text.slice(value.start, value.end);
  return shown.startsWith('[redacted') || holds?.(shown) === false ? undefined : value;
}

function endOf(text: string, from: number, border: RegExp): number {
  border.lastIndex = from;
  return border.exec(text)?.index ?? text.length;
}

/** Names whose unquoted value goes to the end of the line. */
const LINE_NAMES = /authorization|cookie|passphrase|mnemonic|phrase/i;
/** What may stand before a name that begins its line; there too the value goes to the end of the line. */
const LINE_START = /(?:^|[\r\n])([ \t]*)(?:- +)*(?:export |set |\$env:)?$/i;
const LINE_START_CHARS = 64;
/** YAML: the value is the block of lines below (YAML 1.2.2, chapter 8.1). */
const BLOCK = /[|>][-+0-9]{0,2}[ \t]*(?:#[^\r\n]*)?(?=\r?\n)/y;

/** A value that goes on to the end of its line, or of its block. */
function lineValue(text: string, match: RegExpExecArray, from: number): Span | undefined {
  const before = text.slice(Math.max(0, match.index - LINE_START_CHARS), match.index);
  const start = LINE_START.exec(before);
  if (start === null && !LINE_NAMES.test(match[1] ?? '')) return undefined;
  BLOCK.lastIndex = from;
  const head = start === null ? undefined : BLOCK.exec(text)?.[0];
  if (head === undefined) return { start: from, end: endOf(text, from, LINE_END) };
  return { start: from + head.length, end: blockEnd(text, from + head.length, start?.[1]?.length ?? 0) };
}

const LINE = /\r?\n([ \t]*)([^\r\n]*)/y;

/** Where the lines end that are empty or indented deeper. */
function blockEnd(text: string, from: number, indent: number): number {
  let end = from;
  for (LINE.lastIndex = from; ;) {
    const line = LINE.exec(text);
    if (line === null || (line[2] !== '' && (line[1]?.length ?? 0) <= indent)) return end;
    end = LINE.lastIndex;
  }
}

const INSERT = /\binsert\s{1,8}into\s{1,8}[^\s(]{1,256}\s{0,8}\(([^()]{1,2048})\)\s{0,8}values\b/gi;

/** SQL that inserts into a column with a secret's name: which literal belongs to it is not worked out. */
function hideInserted(text: string): string {
  let hidden = '';
  let done = 0;
  for (const match of text.matchAll(INSERT)) {
    const columns = (match[1] ?? '').split(',');
    if (match.index < done || !columns.some((column) => judgeName(column) === 'secret')) continue;
    const from = match.index + match[0].length;
    const end = endOf(text, from, /;/g);
    hidden += text.slice(done, from) + text.slice(from, end).replace(/'[^']*(?:'|$)/g, "'[redacted]'");
    done = end;
  }
  return hidden + text.slice(done);
}
