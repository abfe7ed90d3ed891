import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCard } from '../../src/event/cards.ts';
import { hideSecrets } from '../../src/event/secrets.ts';

/* Assembled here, so that no scanner takes this file for a leak. */
const r = (text: string, count: number): string =>
  text.repeat(Math.ceil(count / text.length)).slice(0, count);
const b64 = (text: string): string => Buffer.from(text).toString('base64url');
const JWT = `${b64('{"alg":"HS256"}')}.${b64('{"sub":"1"}')}.${r('aB3_-', 43)}`;
const PEM = `-----BEGIN RSA PRIVATE KEY-----\n${r('MIIEpQ', 64)}\n-----END RSA PRIVATE KEY-----`;

const forms: [name: string, secret: string][] = [
  ['jwt', JWT],
  ['jwt', `${b64('{"alg":"dir","enc":"A256GCM"}')}..${r('iv', 16)}.${r('ct', 30)}.${r('tag', 22)}`],
  ['jwt', Buffer.from('{"user":"u","pw":"????>>>>"}').toString('base64')],
  ['private-key', PEM],
  ['private-key', PEM.replaceAll('\n', '\\n')],
  ['private-key', PEM.slice(0, 80)],
  ['private-key', PEM.replaceAll('RSA ', '')],
  ['private-key', PEM.replaceAll('RSA', 'OPENSSH')],
  ['private-key', PEM.replaceAll('RSA', 'PGP').replaceAll('KEY-', 'KEY BLOCK-')],
  ['aws', `AKIA${r('ABCD2345', 16)}`],
  ['aws', `ASIA${r('ABCD2345', 16)}`],
  ['google', `AIza${r('Sy_-a1', 35)}`],
  ['google', `ya29.${r('a0Ab', 60)}`],
  ['azure', `abc8Q~${r('aB3~._-', 34)}`],
  ['github', `ghp_${r('aB3', 36)}`],
  ['github', `ghs_${r('aB3', 36)}`],
  ['github', `github_pat_${r('aB3_', 82)}`],
  ['gitlab', `glpat-${r('aB3_', 20)}`],
  ['slack', `xoxb-${r('123456-', 40)}`],
  ['slack', `xapp-1-${r('A1b2-', 40)}`],
  ['stripe', `sk_live_${r('aB3', 24)}`],
  ['stripe', `rk_test_${r('aB3', 24)}`],
  ['stripe', `whsec_${r('aB3+', 32)}`],
  ['npm', `npm_${r('aB3', 36)}`],
  ['pypi', `pypi-${r('AgEIcHlwaS', 80)}`],
  ['ai-key', `sk-${r('aB3', 48)}`],
  ['ai-key', `sk-proj-${r('aB3_-', 60)}`],
  ['ai-key', `sk-ant-api03-${r('aB3_-', 90)}`],
  ['ai-key', `hf_${r('aB', 34)}`],
  ['vault', `hvs.${r('CAES', 90)}`],
  ['sendgrid', `SG.${r('aB3', 22)}.${r('aB3', 43)}`],
  ['twilio', `SK${r('0a1b', 32)}`],
  ['service-key', `dop_v1_${r('0a1b', 64)}`],
  ['telegram', `123456789:AA${r('aB3_-', 33)}`],
  ['card', '4111111111111111'],
  ['card', '4111 1111 1111 1111'],
  ['card', '4111-1111-1111-1111'],
  ['card', '4111.1111.1111.1111'],
  ['card', '4111\u00a01111\u00a01111\u00a01111'],
  ['card', '4111\u200b1111\u200b1111\u200b1111'],
  ['card', '4222222222222'],
  ['card', '3782 822463 10005'],
  ['card', '6304000000000000000'.slice(0, 18) + '0'],
  ['card', '5555555555554444'],
];

for (const [name, secret] of forms) {
  test(`${secret.slice(0, 24)} is hidden as ${name}, alone and inside a text`, () => {
    assert.equal(hideSecrets(secret), `[redacted:${name}]`);
    if (secret.startsWith('-----BEGIN') && !secret.includes('-----END')) return;
    assert.equal(hideSecrets(`use "${secret}", please`), `use "[redacted:${name}]", please`);
    assert.equal(hideSecrets(`(${secret})\n`), `([redacted:${name}])\n`);
  });
}

const inPlace: [text: string, shown: string][] = [
  ['Bearer abc123', 'Bearer [redacted:bearer]'],
  ['bearer\tabc.def/ghi=', 'bearer\t[redacted:bearer]'],
  ['Basic dXNlcjpodW50ZXIy', 'Basic [redacted:basic]'],
  ['Authorization: Basic dXNlcjpwdw==\nHost: h', 'Authorization: [redacted]\nHost: h'],
  [
    'curl -H "Authorization: Digest username=a, response=b" https://h',
    'curl -H "Authorization: [redacted]" https://h',
  ],
  ["curl -H 'X-Api-Key: hunter2' https://h", "curl -H 'X-Api-Key: [redacted]' https://h"],
  ['Cookie: a=b; c=d', 'Cookie: [redacted]'],
  ['postgres://u:hunter2@h:5432/db', 'postgres://[redacted:userinfo]@h:5432/db'],
  ['https://hunter2@h/x', 'https://[redacted:userinfo]@h/x'],
  ['ssh://git@h/x', 'ssh://git@h/x'],
  ['https://h/x?a=1&token=hunter2&b=2', 'https://h/x?a=1&token=[redacted]&b=2'],
  ['https://h/x?X-Amz-Signature=0a1b&b=2', 'https://h/x?X-Amz-Signature=[redacted]&b=2'],
  ['https://hooks.slack.com/services/T00/B00/xyz', 'https://hooks.slack.com/services/[redacted:slack]'],
  ['Server=s;Password=hunter2;Database=d', 'Server=s;Password=[redacted];Database=d'],
  [
    'DefaultEndpointsProtocol=https;AccountKey=aB3+/==;E=x',
    'DefaultEndpointsProtocol=https;AccountKey=[redacted];E=x',
  ],
  ['A=1\nDB_PASSWORD=hun;ter 2\nB=2', 'A=1\nDB_PASSWORD=[redacted]\nB=2'],
  ['export TOKEN="hun ter2" # x', 'export TOKEN="[redacted]" # x'],
  ['password: correct horse battery\nuser: bob', 'password: [redacted]\nuser: bob'],
  ['{"user":"bob","password":"hun\\"ter2"} trailing', '{"user":"bob","password":"[redacted]"} trailing'],
  ['{\\"password\\":\\"hunter2\\",\\"a\\":1', '{\\"password\\":\\"[redacted]\\",\\"a\\":1'],
  ["{'api_key' : 'hunter2', 'a': 1", "{'api_key' : '[redacted]', 'a': 1"],
  ['{ token: hunter2, a: 1 }', '{ token: [redacted], a: 1 }'],
  ['if (token === "hunter2") {', 'if (token === "[redacted]") {'],
  ['secret := `hunter2`', 'secret := `[redacted]`'],
  ["'secret' => 'hunter2'", "'secret' => '[redacted]'"],
  ['tool --password hunter2 --verbose', 'tool --password [redacted] --verbose'],
  ['tool --api-key=hunter2 x', 'tool --api-key=[redacted] x'],
  ['pass\u200bword=hunter2 x', 'pass\u200bword=[redacted]'],
  ['a pass\u200bword=hunter2 x', 'a pass\u200bword=[redacted] x'],
  ['"password": "never closed', '"password": "[redacted]'],
  [`two: ghp_${r('a', 36)} and ${JWT}.`, 'two: [redacted:github] and [redacted:jwt]'],
];

for (const [text, shown] of inPlace) {
  test(`${JSON.stringify(text)} becomes ${JSON.stringify(shown)}`, () =>
    assert.equal(hideSecrets(text), shown));
}

const harmless = [
  '',
  'The secretary of the compass club',
  'Basic understanding of the task-force',
  'risk-averse-and-very-long-hyphenated-words',
  'max_tokens=4096 token_count: 17',
  '2026-11-22 2026-11-23 2026-11-24',
  '1700000000000 1700000000000000',
  '192.168.100.200 10.0.0.1',
  '3.4111111111111111 and 411.1111111111111',
  '550e8400-e29b-41d4-a716-446655440000',
  'da39a3ee5e6b4b0d3255bfef95601890afd80709',
  '4111111111111112',
  '411111111111111111111111111111111111',
  'https://h.example/@scope/pkg@1?a=b@c',
  'a\u0000b\ud800\u2028',
];

for (const text of harmless) {
  test(`${JSON.stringify(text)} stays as it is`, () => assert.equal(hideSecrets(text), text));
}

test('digits are a card only with 13 to 19 of them, a first digit of 2 to 9 and a right check digit', () => {
  const luhn = (stem: string): string =>
    '0123456789'
      .split('')
      .map((digit) => stem + digit)
      .find(isCard) ?? '';
  for (let length = 1; length <= 25; length += 1) {
    const found = luhn(r('4', length - 1));
    assert.equal(found !== '', length >= 13 && length <= 19, String(length));
  }
  for (const first of '0123456789') assert.equal(luhn(first + r('0', 14)) !== '', first >= '2', first);
});

test('a card is found among other numbers', () => {
  assert.doesNotMatch(hideSecrets('02 4111 1111 1111 1111 17'), /1111 1111/);
  assert.doesNotMatch(hideSecrets('2026-01-02 4111111111111111 555'), /4111111111111111/);
});

test('a secret is hidden wherever it stands', () => {
  const secret = fc.constantFrom(
    ...forms.map(([, form]) => form).filter((form) => /^[A-Za-z]{2}.{14}/.test(form)),
  );
  const around = fc.string({
    unit: fc.constantFrom(' ', '\n', '"', "'", ':', '=', ',', '{', '[', '\0', '\u2028', '<'),
  });
  fc.assert(
    fc.property(around, secret, around, (before, form, after) => {
      assert.ok(!hideSecrets(before + form + after).includes(form));
    }),
  );
});

test('whatever the text, hiding throws nothing, and a third look finds nothing that two have left', () => {
  const piece = fc.constantFrom(
    'curl -u ',
    'mysql -p',
    'a:b ',
    '"',
    "'",
    '\\"',
    '`',
    ' ',
    '\n',
    '  ',
    '|',
    ';',
    '<password>',
    '<a b="c">',
    'password: |\n',
    'token=',
    'secret ',
    ' is ',
    "values ('",
    'insert into t (password) ',
    '?key=',
    '%3D',
    '/',
    'identified by ',
    'login a password ',
    'echo ',
    'x1Y2z3A4b5C6',
    '\ud800',
    '[redacted]',
    '://',
    '@',
    '$2y$',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const twice = hideSecrets(hideSecrets(pieces.join('')));
      assert.equal(hideSecrets(twice), twice);
    }),
    { numRuns: 1000 },
  );
});

test('hiding twice hides no more', () => {
  const texts = fc.constantFrom(
    ...forms.map(([, form]) => form),
    ...inPlace.map(([text]) => text),
    ...harmless,
  );
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      const once = hideSecrets(`${a} ; ${b}`);
      assert.equal(hideSecrets(once), once);
    }),
  );
});

test('a UUID is no card, whatever its digits are, and a card beside one is', () => {
  const uuid = 'bef52664-8782-4486-8628-d0ccedfefa93';
  assert.equal(hideSecrets(uuid), uuid);
  assert.equal(hideSecrets(`${uuid} 4111-1111-1111-1111`), `${uuid} [redacted:card]`);
});
