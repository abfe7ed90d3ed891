/**
 * Secrets on command lines that no name announces: `curl -u bob:x`, `mysql -px`, `sshpass -p x`. What a short option
 * means depends on the program, so only programs that are known here are looked at.
 */
import { quotedAt } from './quoted.ts';
import type { Span } from './quoted.ts';

interface Program {
  readonly names: string;
  /** Only where this word stands on the line too: `docker run -p` publishes a port, `docker login -p` does not. */
  readonly beside?: string;
  /** Options whose next word is the secret. */
  readonly before?: RegExp;
  /** What stays of a word that holds the secret itself. */
  readonly stays?: RegExp;
  /** Options whose next word names the user up to a mark, with the secret behind it. */
  readonly user?: { readonly before: RegExp; readonly stays: RegExp };
}

const PROGRAMS: readonly Program[] = [
  {
    names: 'curl wget',
    stays: /^(?:-[uU]|--(?:proxy-)?user=)[^:]*:/,
    user: { before: /^(?:-[uU]|--(?:proxy-)?user)$/, stays: /^[^:]*:/ },
  },
  { names: 'http https xh', user: { before: /^(?:-a|--auth)$/, stays: /^[^:]*:/ } },
  {
    names:
      'mysql mysqldump mysqladmin mysqlimport mysqlsh mysqlcheck mycli mariadb mariadb-dump mariadb-admin',
    stays: /^-p/,
  },
  { names: 'sshpass', before: /^-p$/, stays: /^-p/ },
  {
    names: 'docker podman nerdctl buildah skopeo helm oras crane regctl az oc cf',
    beside: 'login',
    before: /^-p$/,
    stays: /^-p=?/,
  },
  { names: 'redis-cli', before: /^(?:-a|--pass)$/ },
  {
    names: 'mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat',
    before: /^-p$/,
    stays: /^-p/,
  },
  { names: 'sqlcmd bcp osql isql tsql', before: /^-P$/, stays: /^-P/ },
  { names: 'sqlplus sqlldr expdp impdp rman', stays: /^[\w$#]+\/(?!\/)/ },
  { names: 'ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami', before: /^-w$/, stays: /^-w/ },
  { names: 'ldappasswd', before: /^-[was]$/ },
  { names: 'smbclient rpcclient smbget smbmap', user: { before: /^(?:-U|--user)$/, stays: /^[^%]*%/ } },
  { names: 'lftp', user: { before: /^-u$/, stays: /^[^,]*,/ } },
  { names: 'openssl', before: /^-[kK]$/ },
  { names: 'zip unzip', before: /^-P$/, stays: /^-P/ },
  { names: '7z 7za 7zr 7zz rar unrar', stays: /^-h?p/ },
  { names: 'xfreerdp xfreerdp3 wlfreerdp', stays: /^\/p:/ },
];

const BY_NAME: ReadonlyMap<string, Program> = new Map(
  PROGRAMS.flatMap((program) => program.names.split(' ').map((name) => [name, program] as const)),
);

/**
 * For each word that holds a secret, by its index: how many of its characters stay.
 * @param words of one command or of several, their programs among them
 */
export function secretWords(words: readonly string[]): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  let program: Program | undefined;
  words.forEach((word, index) => {
    const named = BY_NAME.get(word.slice(word.lastIndexOf('/') + 1).replace(/\.exe$/i, ''));
    if (named !== undefined) {
      program = named.beside === undefined || words.includes(named.beside) ? named : undefined;
      return;
    }
    const stays = program && charsThatStay(program, word, words[index - 1] ?? '');
    if (stays !== undefined) found.set(index, stays);
  });
  return found;
}

function charsThatStay({ before, stays, user }: Program, word: string, previous: string): number | undefined {
  if (word === '') return undefined;
  if (before?.test(previous) === true) return 0;
  const kept = (user?.before.test(previous) === true ? user.stays : stays)?.exec(word)?.[0].length;
  return kept === undefined || kept === word.length ? undefined : kept;
}

const PROGRAM_WORD = new RegExp(
  `(?<![\\w.$-])(?:${[...BY_NAME.keys()].join('|')})(?:\\.exe)?(?=[ \\t]+[^\\s:=])`,
  'gi',
);
/** Without one of these no word of a command is a secret. */
const OPTION = /[\s"']--?\w|\/p:|sqlplus|sqlldr|expdp|impdp|rman/i;
/** Of one command so many words are looked at, and of one word so many characters. */
export const COMMAND_WORDS_MAX = 64;
const WORD_CHARS_MAX = 1024;

/** Text with the secrets on the command lines in it replaced by `[redacted]`. */
export function hideCommandSecrets(text: string): string {
  if (!OPTION.test(text)) return text;
  let hidden = '';
  let done = 0;
  for (const match of text.matchAll(PROGRAM_WORD)) {
    if (match.index < done) continue;
    const words = wordsFrom(text, match.index);
    for (const [index, stays] of secretWords(words.map((word) => word.text))) {
      const word = words[index];
      if (word === undefined) continue;
      // What stays ends before the quote that opens inside of the word, or lies behind one that opens it.
      const from = stays < word.plain ? word.start + stays : word.body.start + stays - word.plain;
      hidden += `${text.slice(done, from)}[redacted]`;
      done = word.body.end;
    }
  }
  return hidden + text.slice(done);
}

interface Word {
  readonly text: string;
  readonly start: number;
  /** Characters before the quote that opens in it; all where none does. */
  readonly plain: number;
  /** What stands in the quotes; without quotes the empty end of the word. */
  readonly body: Span;
}

const BLANKS = /(?:[ \t]|\\+\r?\n)*/y;
const PLAIN_WORD = /[^\s"'`;|&<>()]*/y;
/** An option that only a quoted value can follow without a blank. */
const BARE_OPTION = /^(?:-\w|--[\w-]+=)$/;

/** The words of a command: to the end of its line, to what ends a command, or to the next program. */
function wordsFrom(text: string, from: number): readonly Word[] {
  const words: Word[] = [];
  for (let at = from; words.length < COMMAND_WORDS_MAX;) {
    const word = wordAt(text, at);
    if (word === undefined || (words.length > 0 && BY_NAME.has(word.text))) break;
    words.push(word);
    const end =
      word.plain < word.text.length ? word.body.end + closingChars(text, word.body.end) : word.body.end;
    BLANKS.lastIndex = end;
    const blanks = BLANKS.exec(text)?.[0].length ?? 0;
    if (blanks === 0) break;
    at = end + blanks;
  }
  return words;
}

function wordAt(text: string, start: number): Word | undefined {
  PLAIN_WORD.lastIndex = start;
  const plain = PLAIN_WORD.exec(text)?.[0] ?? '';
  const end = start + plain.length;
  const near = text.slice(0, end + WORD_CHARS_MAX);
  const quoted = plain === '' || BARE_OPTION.test(plain) ? quotedAt(near, end) : undefined;
  if (quoted?.closed === true) {
    const body = text.slice(quoted.start, quoted.end);
    return { text: plain + body, start, plain: plain.length, body: quoted };
  }
  return plain === '' ? undefined : { text: plain, start, plain: plain.length, body: { start: end, end } };
}

/** The quote that closes, with the backslashes before it. */
function closingChars(text: string, at: number): number {
  let length = 0;
  while (text[at + length] === '\\') length += 1;
  return length + 1;
}
