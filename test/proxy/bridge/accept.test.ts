/** What a client takes, as its Accept header says it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedBy } from '../../../src/proxy/bridge/accept.ts';

const CASES: readonly (readonly [accept: string | undefined, json: boolean, events: boolean])[] = [
  [undefined, true, true],
  ['', true, true],
  ['application/json, text/event-stream', true, true],
  ['Application/JSON;q=0.9 , TEXT/event-stream', true, true],
  ['*/*', true, true],
  ['application/*', true, false],
  ['text/*;q=0.1', false, true],
  ['application/json', true, false],
  ['text/event-stream', false, true],
  ['application/json;q=0, text/event-stream', false, true],
  ['application/json;q=0.0', false, false],
  ['text/html', false, false],
  ['application/jsonp', false, false],
];
for (const [accept, json, events] of CASES) {
  test(`Accept: ${accept ?? '(none)'} takes ${json ? '' : 'no '}JSON and ${events ? '' : 'no '}events`, () => {
    assert.deepEqual(acceptedBy(accept), { json, events });
  });
}
