import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Reply } from '../../../src/proxy/bridge/reply.ts';
import { manualClock } from '../../support/stdio-fixtures.ts';
import { within } from '../../support/within.ts';

test('a request that is refused after its stream has begun is told on it, and the stream ends', async () => {
  const clock = manualClock();
  const reply = new Reply({
    accepted: { json: true, events: true },
    signal: new AbortController().signal,
    schedule: clock.schedule,
    keepAliveMs: 10,
  });
  clock.turn(10);
  reply.refuse('busy', { json: '1', text: '1' }, { max: 3 });
  const result = await reply.result;
  assert.ok(result.ok);
  const got = await within('the end of the stream', text(result.response));
  assert.match(got, /^: keep-alive\n\ndata: \{"jsonrpc":"2\.0","id":1,"error":.*\n\n$/);
  assert.equal(reply.open, false);
});
