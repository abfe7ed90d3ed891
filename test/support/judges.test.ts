import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skipWithoutDebian } from './debian-programs.ts';
import { skipWithoutNpm } from './npm-programs.ts';
import { skipWithoutPython } from './python-environment.ts';

for (const [name, skipWithout, reason] of [
  ['python3', skipWithoutPython, /^there is no python3 on the PATH/],
  ['npm', skipWithoutNpm, /^there is no npm/],
  ['apt-get', skipWithoutDebian, /^this is no Debian/],
] as const) {
  test(`without ${name}, tests that need it say so, and only in CI they do not skip`, () => {
    assert.match(String(skipWithout({ PATH: '/nowhere' })), reason);
    assert.equal(skipWithout({ PATH: '/nowhere', CI: 'true' }), false);
  });
}
