/** No more processes than there are places for, and nobody starves for what others have left lying about. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bridgeLimits, BRIDGE_LIMITS, type BridgeLimits } from '../../../src/proxy/bridge/limits.ts';
import { Places, type Place } from '../../../src/proxy/bridge/places.ts';
import { FILES } from '../../support/bridge-scene.ts';

const OTHER = { ...FILES, name: 'other' };

function scene(limits: Partial<BridgeLimits>) {
  const places = new Places(bridgeLimits(limits));
  const ended: string[] = [];
  return {
    ended,
    take(caller: string, upstream = FILES): Place | string {
      const taken = places.take({ upstream, caller });
      return taken.ok ? taken.place : taken.limit;
    },
    /** A place whose process nobody uses. */
    idle(caller: string, upstream = FILES): Place {
      const taken = places.take({ upstream, caller });
      assert.ok(taken.ok);
      taken.place.idle(() => ended.push(caller));
      return taken.place;
    },
    ready(caller: string, upstream = FILES): Promise<void> {
      const taken = places.take({ upstream, caller });
      assert.ok(taken.ok);
      return taken.ready;
    },
  };
}

const isTaken = (place: Place | string): boolean => typeof place !== 'string';

describe('places for processes', () => {
  test('at the limit of a caller it gets no more, and others do', () => {
    const { take } = scene({ callerChildrenMax: 2 });
    assert.ok(isTaken(take('a')) && isTaken(take('a')));
    assert.equal(take('a'), 'callerChildrenMax');
    assert.ok(isTaken(take('b')));
    assert.ok(isTaken(take('a', OTHER)));
  });

  test('at the limit of a server nobody gets more of it, and other servers have theirs', () => {
    const { take } = scene({ serverChildrenMax: 2 });
    assert.ok(isTaken(take('a')) && isTaken(take('b')));
    assert.equal(take('c'), 'serverChildrenMax');
    assert.ok(isTaken(take('c', OTHER)));
  });

  test('at the limit of all there is none', () => {
    const { take } = scene({ childrenMax: 2 });
    assert.ok(isTaken(take('a')) && isTaken(take('b', OTHER)));
    assert.equal(take('c'), 'childrenMax');
  });

  test('a place that has become free is there again', () => {
    const { take } = scene({ childrenMax: 1 });
    const place = take('a');
    assert.ok(typeof place !== 'string');
    assert.equal(take('b'), 'childrenMax');
    place.free();
    assert.ok(isTaken(take('b')));
  });

  test('who has its share makes room of its own first, whoever has been idle for longer', () => {
    const { take, idle, ended } = scene({ callerChildrenMax: 2, serverChildrenMax: 4 });
    idle('b');
    idle('a');
    idle('a');
    assert.ok(isTaken(take('a')));
    assert.deepEqual(ended, ['a']);
  });

  test('where all places are taken the process that was idle for longest goes, whosever it is', () => {
    const { take, idle, ended } = scene({ childrenMax: 3 });
    const first = idle('a');
    idle('b');
    assert.ok(isTaken(take('c')));
    first.busy();
    first.idle(() => ended.push('a again'));
    assert.ok(isTaken(take('d')));
    assert.ok(isTaken(take('d')));
    assert.deepEqual(ended, ['b', 'a again']);
    assert.equal(take('d'), 'childrenMax');
  });

  test('a process that is used is not ended for another', () => {
    const { take, idle, ended } = scene({ childrenMax: 1 });
    idle('a').busy();
    assert.equal(take('b'), 'childrenMax');
    assert.deepEqual(ended, []);
  });

  test('the new process waits until the old one has ended: there are never more than the limit', async () => {
    const { idle, ready } = scene({ childrenMax: 1 });
    const old = idle('a');
    let isReady = false;
    const waits = ready('b').then(() => (isReady = true));
    await Promise.resolve();
    assert.equal(isReady, false);
    old.free();
    await waits;
  });

  test('one that is ending already is waited for before any other is ended, and by one only', () => {
    const { take, idle, ended } = scene({ childrenMax: 2 });
    idle('a').leaving();
    idle('b');
    assert.ok(isTaken(take('c')));
    assert.deepEqual(ended, []);
    assert.ok(isTaken(take('c')));
    assert.deepEqual(ended, ['b']);
    assert.equal(take('c'), 'childrenMax');
  });
});

describe('the limits of the bridge', () => {
  test('hold by default, can be set up to their maximum, and no further', () => {
    for (const [name, limit] of Object.entries(BRIDGE_LIMITS)) {
      const of = (value?: number) => bridgeLimits({ [name]: value })[name as keyof BridgeLimits];
      assert.equal(of(), limit.default);
      assert.equal(of(limit.maximum), limit.maximum);
      for (const wrong of [0, limit.maximum + 1, 1.5])
        assert.throws(() => of(wrong), /a whole number from 1 to/);
    }
  });
});
