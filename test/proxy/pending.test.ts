import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Forward, Origin, Outcome } from '../../src/proxy/gate.ts';
import { HTTP_LIMITS, httpLimits } from '../../src/proxy/http/limits.ts';
import { createPending, type Pending, type PendingKey } from '../../src/proxy/pending.ts';

function ruling(): Forward & { outcomes: Outcome[] } {
  const outcomes: Outcome[] = [];
  return {
    forward: true,
    asked: undefined,
    trace: { traceparent: '' },
    settle: (outcome) => void outcomes.push(outcome),
    outcomes,
  };
}

const ORIGIN: Origin = {
  server: { name: 'files' },
  transport: 'tcp',
  identity: { source: 'none' },
  claimed: {},
};

function key(id: number | string, over: Partial<PendingKey> = {}): PendingKey {
  return {
    direction: 'to_client',
    server: 'files',
    caller: 'ann',
    sessionId: 's',
    id: { json: JSON.stringify(id), text: String(id) },
    ...over,
  };
}

/** @param keepMs how long one is kept, on a clock that the test sets */
function create(entriesMax: number, keepMs = 1000, clock = { ms: 0 }): Pending {
  return createPending({ entriesMax, keepMs, nowMs: () => clock.ms });
}

describe('pending requests', () => {
  test('one that nobody comes back for settles as unknown after its time, and no other', () => {
    const clock = { ms: 0 };
    const pending = create(10, 1000, clock);
    const [first, second] = [ruling(), ruling()];
    pending.hold(key(1), first, ORIGIN);
    clock.ms = 1;
    pending.hold(key(2), second, ORIGIN);
    clock.ms = 999;
    pending.expire();
    assert.deepEqual(first.outcomes, []);
    clock.ms = 1000;
    pending.expire();
    assert.deepEqual([first.outcomes, second.outcomes], [[{ status: 'unknown' }], []]);
    assert.equal(pending.take(key(1)), undefined);
    assert.equal(pending.take(key(2)), second);
  });

  test('a held request is given out once', () => {
    const pending = create(10);
    const held = ruling();
    pending.hold(key(1), held, ORIGIN);
    assert.equal(pending.take(key(1)), held);
    assert.equal(pending.take(key(1)), undefined);
    assert.deepEqual(held.outcomes, []);
  });

  const others: [what: string, other: PendingKey][] = [
    ['another id', key(2)],
    ['an id of another type', key('1')],
    ['another session', key(1, { sessionId: 't' })],
    ['no session', key(1, { sessionId: undefined })],
    ['another caller', key(1, { caller: 'bob' })],
    ['another server', key(1, { server: 'notes' })],
    ['another direction', key(1, { direction: 'to_upstream' })],
  ];
  for (const [what, other] of others) {
    test(`a request is not found under ${what}`, () => {
      const pending = create(10);
      pending.hold(key(1), ruling(), ORIGIN);
      assert.equal(pending.take(other), undefined);
    });
  }

  test('one that its client has taken back is not kept: it settles as cancelled, whichever came first', () => {
    const pending = create(2);
    const [first, second, third] = [ruling(), ruling(), ruling()];
    pending.hold(key(1), first, ORIGIN);
    pending.cancel(key(1));
    pending.cancel(key(2));
    pending.hold(key(2), second, ORIGIN);
    assert.deepEqual(
      [first.outcomes, second.outcomes],
      [[{ status: 'cancelled' }], [{ status: 'cancelled' }]],
    );
    for (const id of [1, 2]) assert.equal(pending.take(key(id)), undefined);
    pending.cancel(key(3));
    assert.deepEqual([pending.takeCancelled(key(3)), pending.takeCancelled(key(3))], [true, false]);
    // Only so many are remembered, and none outside of a session: there the next request may have the same key.
    for (const id of [4, 5, 6]) pending.cancel(key(id));
    pending.cancel(key(7, { sessionId: undefined }));
    assert.deepEqual(
      [key(4), key(5), key(6), key(7, { sessionId: undefined })].map((name) => pending.takeCancelled(name)),
      [false, true, true, false],
    );
    pending.hold(key(4), third, ORIGIN);
    assert.equal(pending.take(key(4)), third);
  });

  test('one that is forgotten settles as unknown, unless it is gone or another stands there', () => {
    const pending = create(10);
    const [first, second, third] = [ruling(), ruling(), ruling()];
    pending.hold(key(1), first, ORIGIN);
    pending.forget(key(1), second);
    assert.deepEqual([first.outcomes, second.outcomes], [[], []]);
    pending.forget(key(1), first);
    pending.forget(key(1), first);
    assert.deepEqual(first.outcomes, [{ status: 'unknown' }]);
    pending.hold(key(1), third, ORIGIN);
    pending.take(key(1));
    pending.forget(key(1), third);
    assert.deepEqual(third.outcomes, []);
  });

  test('without a session, two with one id cannot be told apart: an answer settles neither by what it says', () => {
    const pending = create(10);
    const [first, second] = [ruling(), ruling()];
    const nowhere = key(1, { sessionId: undefined });
    pending.hold(nowhere, first, ORIGIN);
    pending.hold(nowhere, second, ORIGIN);
    const taken = pending.take(nowhere);
    assert.equal(taken, second);
    assert.deepEqual([first.outcomes, second.outcomes], [[{ status: 'unknown' }], [{ status: 'unknown' }]]);
    pending.hold(nowhere, first, ORIGIN);
    assert.equal(pending.take(nowhere), first);
    assert.equal(first.outcomes.length, 1, 'the one that stands alone is told apart again');
  });

  test('at the limit all stay, over it the oldest settles as unknown', () => {
    const pending = create(2);
    const held = [ruling(), ruling(), ruling()];
    held.slice(0, 2).forEach((one, id) => pending.hold(key(id), one, ORIGIN));
    assert.deepEqual(held[0]!.outcomes, []);
    pending.hold(key(2), held[2]!, ORIGIN);
    assert.deepEqual(
      held.map((one) => one.outcomes),
      [[{ status: 'unknown' }], [], []],
    );
    assert.equal(pending.take(key(0)), undefined);
    assert.equal(pending.take(key(1)), held[1]);
  });

  test('the same id again settles the first as unknown', () => {
    const pending = create(10);
    const first = ruling();
    pending.hold(key(1), first, ORIGIN);
    pending.hold(key(1), ruling(), ORIGIN);
    assert.deepEqual(first.outcomes, [{ status: 'unknown' }]);
  });

  test('the end of a session cancels what waits in it, and nothing else', () => {
    const pending = create(10);
    const [mine, other, foreign] = [ruling(), ruling(), ruling()];
    pending.hold(key(1), mine, ORIGIN);
    pending.hold(key(1, { sessionId: 't' }), other, ORIGIN);
    pending.hold(key(1, { server: 'notes' }), foreign, ORIGIN);
    pending.endSession({ server: 'files', sessionId: 's' }, 'cancelled');
    assert.deepEqual([mine.outcomes, other.outcomes, foreign.outcomes], [[{ status: 'cancelled' }], [], []]);
  });

  test('a session that is lost leaves nothing behind of what was taken back in it, and what is other callers’', () => {
    const pending = create(10);
    const [mine, another] = [ruling(), ruling()];
    pending.hold(key(1), mine, ORIGIN);
    pending.hold(key(1, { caller: 'bob' }), another, ORIGIN);
    pending.cancel(key(2));
    pending.cancel(key(2, { sessionId: 't' }));
    pending.endSession({ server: 'files', sessionId: 's', caller: 'ann' }, 'unknown');
    assert.deepEqual([mine.outcomes, another.outcomes], [[{ status: 'unknown' }], []]);
    assert.equal(pending.takeCancelled(key(2)), false);
    assert.equal(pending.takeCancelled(key(2, { sessionId: 't' })), true);
  });

  test('what was taken back in a session that its client ends is taken back for the stream that ends after it', () => {
    const pending = create(10);
    pending.cancel(key(1));
    pending.endSession({ server: 'files', sessionId: 's' }, 'cancelled');
    assert.equal(pending.takeCancelled(key(1)), true);
  });

  test('closing settles all as unknown', () => {
    const pending = create(10);
    const held = [ruling(), ruling()];
    held.forEach((one, id) => pending.hold(key(id), one, ORIGIN));
    pending.close();
    assert.deepEqual(
      held.map((one) => one.outcomes),
      [[{ status: 'unknown' }], [{ status: 'unknown' }]],
    );
  });
});

describe('the limits of the HTTP relay', () => {
  const names = Object.keys(HTTP_LIMITS) as (keyof typeof HTTP_LIMITS)[];
  for (const name of names) {
    const row = HTTP_LIMITS[name];
    test(`${name} has its default, can be set up to its maximum and not beyond`, () => {
      assert.equal(httpLimits()[name], row.default);
      const whole = { bodyTimeoutMs: HTTP_LIMITS.bodyTimeoutMs.maximum };
      assert.equal(httpLimits({ ...whole, [name]: row.maximum })[name], row.maximum);
      for (const value of [row.maximum + 1, 0, -1, 1.5, Number.NaN]) {
        assert.throws(() => httpLimits({ [name]: value }), { code: 'config_invalid' }, String(value));
      }
    });
  }

  test('a caller has at most a quarter of all, unless it is said otherwise', () => {
    assert.equal(httpLimits().callerExchangesMax * 4, httpLimits().exchangesMax);
    assert.equal(httpLimits({ exchangesMax: 9 }).callerExchangesMax, 3);
    assert.equal(httpLimits({ exchangesMax: 1 }).callerExchangesMax, 1);
    assert.equal(httpLimits({ exchangesMax: 100_000 }).callerExchangesMax, 512);
    assert.equal(httpLimits({ exchangesMax: 9, callerExchangesMax: 9 }).callerExchangesMax, 9);
  });

  test('headers never get longer than the whole request', () => {
    assert.equal(httpLimits({ bodyTimeoutMs: 500 }).headersTimeoutMs, 500);
  });
});
