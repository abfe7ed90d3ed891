import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { publicUri } from '../../src/event/uri.ts';
import { anyCharacter } from '../support/any-text.ts';

const SECRET = 'hunter2';

const cases: [uri: string, shown: string][] = [
  ['file:///srv/data/a.txt', 'file:///srv/data/a.txt'],
  ['https://h.example:8443/a/b', 'https://h.example:8443/a/b'],
  ['https://u:hunter2@h.example/a?token=hunter2#hunter2', 'https://h.example/a'],
  ['https://hunter2@h.example', 'https://h.example'],
  ['https://u:hun@ter2:hunter2@h.example/a', 'https://h.example/a'],
  ['https://h.example/@scope/pkg@1', 'https://h.example/@scope/pkg@1'],
  ['https://h.example?email=a@b.example', 'https://h.example'],
  ['https://[2001:db8::1]:443/a', 'https://[2001:db8::1]:443/a'],
  ['https://u:hunter2/x@h.example/a', 'https://[redacted]'],
  ['https://u:hunter2?x@h.example/a', 'https://[redacted]'],
  ['https://u:hunter2#x@h.example/a', 'https://[redacted]'],
  ['ht\ntps://u:hunter2@h.example/a', 'https://h.example/a'],
  ['  https://u:hunter2@h.example/a', 'https://h.example/a'],
  ['https:\\\\u:hunter2@h.example\\a', 'https:\\\\h.example\\a'],
  ['https:u:hunter2@h.example/a', 'h.example/a'],
  ['https:///u:hunter2@h.example/a', 'https:///h.example/a'],
  ['//u:hunter2@h.example/a', '//h.example/a'],
  ['u:hunter2@h.example/a', 'h.example/a'],
  ['h t tps://u:hunter2@h.example/a', 'h t tps://h.example/a'],
  ['https://p.example/?u=https://u:hunter2@h.example', 'https://p.example/'],
  ['jdbc:postgresql://u:hunter2@h.example/db', 'jdbc:postgresql://h.example/db'],
  ['data:text/plain;base64,aHVudGVyMg==', 'data:text/plain'],
  ['DATA:,hunter2', 'DATA:'],
  ['data:hunter2', 'data:'],
  ['urn:isbn:0451450523', 'urn:isbn:0451450523'],
  ['notes', 'notes'],
  ['?hunter2', ''],
  ['#', ''],
  ['', ''],
  ['git@h.example:org/repo', 'h.example:org/repo'],
  ['https://hooks.slack.com/services/T0/B0/hunter2', 'https://hooks.slack.com/services/[redacted:slack]'],
];

for (const [uri, shown] of cases) {
  test(`${JSON.stringify(uri)} is shown as ${JSON.stringify(shown)}`, () =>
    assert.equal(publicUri(uri), shown));
}

test('wherever it stands before the host, in the query or in the fragment, a password is not shown', () => {
  const noise = fc.string({
    unit: fc.constantFrom('a', ':', '@', '%', '1', '.', ' ', '\t', '[', ']'),
    maxLength: 12,
  });
  const scheme = fc.constantFrom('https://', 'postgres://', '//', 'x+y://', 'https:///');
  fc.assert(
    fc.property(scheme, noise, noise, fc.constantFrom('?', '#'), (start, before, after, mark) => {
      const shown = publicUri(`${start}${before}:${SECRET}${after}@h.example/p${mark}${before}${SECRET}`);
      assert.ok(!shown.includes(SECRET), shown);
    }),
  );
});

test('any string passes without an error, and what is shown has no query and no fragment', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter }), (uri) => assert.doesNotMatch(publicUri(uri), /[?#]/)),
    { examples: [['\ud800'], ['\0'], [':'], ['://'], ['//'], ['@'], ['[']] },
  );
});

for (const unit of ['a', '@', ':', '/', ']:', '//a:', 'x@/', '://']) {
  test(`a million characters of ${JSON.stringify(unit)} do no harm`, () => {
    assert.ok(publicUri(`https://${unit.repeat(1_000_000 / unit.length)}`).length <= 8192 + 16_384);
  });
}
