import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skipWithoutDebian } from './debian-programs.ts';
import { skipWithoutPython } from './python-judges.ts';

for (const [name, skipWithout, reason] of [
  ['python3', skipWithoutPython, /^there is no python3 on the PATH/],
  ['apt-get', skipWithoutDebian, /^this is no Debian/],
] as const) {
  test(`without ${name}, tests that need it say so, and only in CI they do not skip`, () => {
    assert.match(String(skipWithout({ PATH: '/nowhere' })), reason);
    assert.equal(skipWithout({ PATH: '/nowhere', CI: 'true' }), false);
  });
}
