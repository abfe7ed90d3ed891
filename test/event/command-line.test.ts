import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMAND_WORDS_MAX, hideCommandSecrets, secretWords } from '../../src/event/command-line.ts';

const shown: [command: string, shown: string][] = [
  ['curl -u bob:x1 https://h', 'curl -u bob:[redacted] https://h'],
  ['curl --user "bob:x 1" https://h', 'curl --user "bob:[redacted]" https://h'],
  ['"curl -u bob:x1"', '"curl -u bob:[redacted]"'],
  ['{\\"cmd\\":\\"mysql -px1 db\\"}', '{\\"cmd\\":\\"mysql -p[redacted] db\\"}'],
  ['mysql -u root -px1 db', 'mysql -u root -p[redacted] db'],
  ['mysql -u root -p db', 'mysql -u root -p db'],
  ["sshpass -p'x 1' ssh h", "sshpass -p'[redacted]' ssh h"],
  ['docker login -p x1 h', 'docker login -p [redacted] h'],
  ['docker run -p 80:80 h', 'docker run -p 80:80 h'],
  ['docker run -p 80:80 h; docker login -p x1', 'docker run -p 80:80 h; docker login -p [redacted]'],
  ['docker exec h mysql -px1 | curl -u a:b h', 'docker exec h mysql -p[redacted] | curl -u a:[redacted] h'],
  ['curl -s \\\n  -u a:b \\\n  h', 'curl -s \\\n  -u a:[redacted] \\\n  h'],
  ['curl h\n-u a:b', 'curl h\n-u a:b'],
  ['libcurl -u a:b', 'libcurl -u a:b'],
  ['/opt/bin/curl.exe -u a:b', '/opt/bin/curl.exe -u a:[redacted]'],
  ["curl -u 'a:b", "curl -u 'a:b"],
  ['curl -u a:', 'curl -u a:'],
];
for (const [command, expected] of shown) {
  test(`${JSON.stringify(command)} is shown as ${JSON.stringify(expected)}`, () => {
    assert.equal(hideCommandSecrets(command), expected);
    assert.equal(hideCommandSecrets(expected), expected);
  });
}

test('of one command 64 words are looked at', () => {
  const command = (words: number) => `curl ${'-s '.repeat(words - 3)}-u a:b`;
  assert.match(hideCommandSecrets(command(COMMAND_WORDS_MAX)), /a:\[redacted\]$/);
  assert.match(hideCommandSecrets(command(COMMAND_WORDS_MAX + 1)), /a:b$/);
});

test('words of an argument vector are judged by the program before them', () => {
  const words = ['sudo', '/usr/bin/curl', '-u', 'bob:x', 'sh', '-c', 'mysql', '-px'];
  assert.deepEqual(
    [...secretWords(words)],
    [
      [3, 4],
      [7, 2],
    ],
  );
  assert.deepEqual([...secretWords(['-u', 'bob:x'])], []);
});
