import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseWatch,
  WATCH_MS_DEFAULT,
  WATCH_MS_MAX,
  WATCH_MS_MIN,
  watchOf,
} from '../../src/config/reload.ts';

test('files are looked at every five seconds, unless something else is asked for', () => {
  assert.equal(WATCH_MS_DEFAULT, 5_000);
  const none = (): void => assert.fail('a fault');
  assert.equal(watchOf({}, none), WATCH_MS_DEFAULT);
  assert.equal(watchOf({ watch: '30s' }, none), 30_000);
  assert.equal(watchOf({ watch: 'off' }, none), 'off');
});

test('the interval has a least and a greatest value', () => {
  assert.deepEqual([parseWatch('100ms'), parseWatch('1h')], [WATCH_MS_MIN, WATCH_MS_MAX]);
  for (const text of ['99ms', '3601s', '0s', '5', 'never', ''])
    assert.equal(parseWatch(text), undefined, text);
  const faults: string[] = [];
  watchOf({ watch: '10ms' }, (pointer, message) => void faults.push(`${pointer} ${message}`));
  assert.deepEqual(faults, ['/reload/watch must be a time from 100ms to 1h, for example 5s, or off']);
});
