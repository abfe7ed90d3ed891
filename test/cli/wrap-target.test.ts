/** What `wrap` stands in front of: told apart on the command line, and no secret of it printed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Io } from '../../src/cli/verb.ts';
import { splitCommand, targetOf } from '../../src/cli/wrap-target.ts';
import { VerdictError } from '../../src/errors.ts';

const ENV = { TOKEN: 'secret-1', TWO: 'a\r\nb: c', EMPTY: '' };
// Nothing else of it is looked at.
const io = { env: ENV } as unknown as Io;
const URL_GIVEN = 'https://wiki.example/mcp?tenant=1';

const ofUrl = (...header: readonly string[]) =>
  targetOf({ command: undefined, positionals: [URL_GIVEN], header }, io);

test('a command stands after --, whatever it holds', () => {
  const { own, command } = splitCommand(['--policy', 'p', '--', 'run', '--', 'https://x.example']);
  assert.deepEqual(own, ['--policy', 'p']);
  assert.deepEqual(targetOf({ command, positionals: [], header: undefined }, io), {
    kind: 'command',
    command: 'run',
    args: ['--', 'https://x.example'],
  });
});

test('a URL stands by itself, with the headers that it is to be sent', () => {
  assert.deepEqual(ofUrl('Authorization: Bearer ${env:TOKEN}', 'x-tenant:a:b ', 'X-Empty: ${env:EMPTY}'), {
    kind: 'url',
    url: new URL(URL_GIVEN),
    headers: { authorization: 'Bearer secret-1', 'x-tenant': 'a:b', 'x-empty': '' },
    shown: [],
  });
});

test('a credential that stands on the command line is noted, for it stands in the list of processes', () => {
  const target = ofUrl('authorization: Bearer secret-2', 'x-api-key: secret-3', 'accept-language: de');
  assert.ok(target?.kind === 'url');
  assert.deepEqual(target.shown, ['authorization', 'x-api-key']);
});

test('without either there is none', () => {
  assert.equal(targetOf({ command: undefined, positionals: [], header: undefined }, io), undefined);
  assert.equal(targetOf({ command: [], positionals: [], header: undefined }, io), undefined);
});

const WRONG: readonly (readonly [string, Parameters<typeof targetOf>[0], RegExp, string?])[] = [
  ['two URLs', { command: undefined, positionals: [URL_GIVEN, URL_GIVEN], header: undefined }, /one server/],
  ['a URL and a command', { command: ['run'], positionals: [URL_GIVEN], header: undefined }, /one server/],
  [
    'a command without --',
    { command: undefined, positionals: ['run'], header: undefined },
    /run is not an http/,
  ],
  [
    'another kind of URL',
    { command: undefined, positionals: ['file:///x'], header: undefined },
    /not an http/,
  ],
  [
    'credentials in the URL',
    { command: undefined, positionals: ['https://u:secret-4@x/'], header: undefined },
    /--header/,
  ],
  ['headers for a command', { command: ['run'], positionals: [], header: ['a: b'] }, /goes with the URL/],
  ...(
    [
      ['a header without a colon', 'secret-5', /of the form 'NAME: VALUE'/],
      ['a header without a name', ': secret-5', /of the form 'NAME: VALUE'/],
      ['a header that is none', 'a b: secret-5', /--header a b is not a header name/],
      ['a value with a line end', 'a: b\nsecret-5: x', /must not hold CR, LF or NUL/],
      ['a variable that is not set', 'a: ${env:NOBODY}', /NOBODY is not set/, 'config_invalid'],
      ['a variable with a line end', 'a: ${env:TWO}', /TWO holds a line end/, 'config_invalid'],
    ] as const
  ).map(
    ([title, header, words, code]) =>
      [
        title,
        { command: undefined, positionals: [URL_GIVEN], header: [header] },
        words,
        code ?? 'usage',
      ] as const,
  ),
  [
    'a header that stands twice',
    { command: undefined, positionals: [URL_GIVEN], header: ['A: secret-5', 'a: secret-6'] },
    /--header a stands twice/,
  ],
];
for (const [title, operands, words, code = 'usage'] of WRONG) {
  test(`${title} is an error that says what to do, and no secret`, () => {
    assert.throws(
      () => targetOf(operands, io),
      (error) => {
        assert.ok(error instanceof VerdictError);
        assert.equal(error.code, code);
        assert.match(error.message, words);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  });
}
