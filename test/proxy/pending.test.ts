import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Forward, Outcome } from '../../src/proxy/gate.ts';
import { HTTP_LIMITS, httpLimits } from '../../src/proxy/http/limits.ts';
import { createPending, type PendingKey } from '../../src/proxy/pending.ts';

function ruling(): Forward & { outcomes: Outcome[] } {
  const outcomes: Outcome[] = [];
  return {
    forward: true,
    trace: { traceparent: '' },
    settle: (outcome) => void outcomes.push(outcome),
    outcomes,
  };
}

function key(id: number | string, over: Partial<PendingKey> = {}): PendingKey {
  return {
    direction: 'to_client',
    server: 'files',
    sessionId: 's',
    id: { json: JSON.stringify(id), text: String(id) },
    ...over,
  };
}

describe('pending requests', () => {
  test('a held request is given out once', () => {
    const pending = createPending(10);
    const held = ruling();
    pending.hold(key(1), held);
    assert.equal(pending.take(key(1)), held);
    assert.equal(pending.take(key(1)), undefined);
    assert.deepEqual(held.outcomes, []);
  });

  const others: [what: string, other: PendingKey][] = [
    ['another id', key(2)],
    ['an id of another type', key('1')],
    ['another session', key(1, { sessionId: 't' })],
    ['no session', key(1, { sessionId: undefined })],
    ['another server', key(1, { server: 'notes' })],
    ['another direction', key(1, { direction: 'to_upstream' })],
  ];
  for (const [what, other] of others) {
    test(`a request is not found under ${what}`, () => {
      const pending = createPending(10);
      pending.hold(key(1), ruling());
      assert.equal(pending.take(other), undefined);
    });
  }

  test('a refusal is remembered however often it is asked for', () => {
    const pending = createPending(10);
    pending.refuse(key(1));
    assert.equal(pending.take(key(1)), 'refused');
    assert.equal(pending.take(key(1)), 'refused');
  });

  test('at the limit all stay, over it the oldest settles as unknown', () => {
    const pending = createPending(2);
    const held = [ruling(), ruling(), ruling()];
    held.slice(0, 2).forEach((one, id) => pending.hold(key(id), one));
    assert.deepEqual(held[0]!.outcomes, []);
    pending.hold(key(2), held[2]!);
    assert.deepEqual(
      held.map((one) => one.outcomes),
      [[{ status: 'unknown' }], [], []],
    );
    assert.equal(pending.take(key(0)), undefined);
    assert.equal(pending.take(key(1)), held[1]);
  });

  test('the same id again settles the first as unknown', () => {
    const pending = createPending(10);
    const first = ruling();
    pending.hold(key(1), first);
    pending.hold(key(1), ruling());
    assert.deepEqual(first.outcomes, [{ status: 'unknown' }]);
  });

  test('the end of a session cancels what waits in it, and nothing else', () => {
    const pending = createPending(10);
    const [mine, other, foreign] = [ruling(), ruling(), ruling()];
    pending.hold(key(1), mine);
    pending.hold(key(1, { sessionId: 't' }), other);
    pending.hold(key(1, { server: 'notes' }), foreign);
    pending.endSession('files', 's');
    assert.deepEqual([mine.outcomes, other.outcomes, foreign.outcomes], [[{ status: 'cancelled' }], [], []]);
  });

  test('closing settles all as unknown', () => {
    const pending = createPending(10);
    const held = [ruling(), ruling()];
    held.forEach((one, id) => pending.hold(key(id), one));
    pending.refuse(key(9));
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

  test('headers never get longer than the whole request', () => {
    assert.equal(httpLimits({ bodyTimeoutMs: 500 }).headersTimeoutMs, 500);
  });
});
