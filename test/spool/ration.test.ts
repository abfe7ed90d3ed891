import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { callBytesMax, createRation, HELD_MAX, type Appended } from '../../src/spool/ration.ts';
import { entry } from '../support/spooled.ts';

const MAX = 64 * 1024 ** 2;
const FULL = { bytes: MAX, full: true };
const ROOM = { bytes: 0, full: false };

function record(uid: string, name = 'verdict.decision'): Appended {
  return { uid, name, entry: entry(uid) };
}

describe('the ration', () => {
  test('leaves a sixteenth of a small spool free of calls, and 256 MiB of a large one', () => {
    assert.equal(MAX - callBytesMax(MAX), 4 * 1024 ** 2);
    assert.equal(10 * 1024 ** 3 - callBytesMax(10 * 1024 ** 3), 256 * 1024 ** 2);
  });

  test('admits everything until the spool is measured to be full', () => {
    const ration = createRation(MAX);
    assert.ok(ration.admit(record('a')));
    assert.deepEqual(ration.measured({ bytes: callBytesMax(MAX), full: false }), []);
    assert.ok(ration.admit(record('b')));
    assert.equal(ration.refuse('b'), undefined, 'what was admitted is not refused here');
    assert.equal(ration.isFull(), false);
  });

  test('refuses a call at once when it is full, and counts it', async () => {
    const ration = createRation(MAX);
    ration.measured(FULL);
    assert.equal(ration.admit(record('call')), false);
    await assert.rejects(ration.refuse('call') ?? Promise.resolve(), { code: 'audit_unavailable' });
    assert.equal(ration.refuse('call'), undefined, 'once');
    assert.deepEqual(ration.counts(), { refused: 1, lost: 0 });
    assert.deepEqual(ration.measured(ROOM), [], 'a refused call is not recorded as allowed afterwards');
  });

  test('what the spool must say, and outcomes of calls let through before, still come in', () => {
    const ration = createRation(MAX);
    ration.measured(FULL);
    for (const name of ['verdict.gap', 'verdict.checkpoint', 'verdict.lifecycle', 'verdict.outcome']) {
      assert.ok(ration.admit(record(name, name)), name);
    }
    for (const name of ['verdict.decision', 'verdict.approval', 'log']) {
      assert.equal(ration.admit(record(name, name)), false, name);
    }
  });

  test('holds what nobody waits for, in order, until there is room; over its limit the oldest are lost', () => {
    const ration = createRation(MAX);
    ration.measured(FULL);
    for (let index = 0; index < HELD_MAX + 2; index += 1) ration.admit(record(`r${index}`));
    assert.deepEqual(ration.counts(), { refused: 0, lost: 2 });
    assert.deepEqual(ration.measured(FULL), []);
    const released = ration.measured(ROOM).map(({ uid }) => uid);
    assert.equal(released.length, HELD_MAX);
    assert.deepEqual([released[0], released.at(-1)], ['r2', `r${HELD_MAX + 1}`]);
    assert.ok(ration.admit(record('after')));
    ration.close();
    assert.equal(ration.counts().lost, 2);
  });

  test('what is still held at the end is lost, and counted', () => {
    const ration = createRation(MAX);
    ration.measured(FULL);
    ration.admit(record('a'));
    ration.close();
    assert.deepEqual(ration.counts(), { refused: 0, lost: 1 });
  });

  test('asks to be measured again when as much has come in as may have filled it', () => {
    const ration = createRation(MAX);
    ration.measured({ bytes: callBytesMax(MAX) - 1000, full: false });
    assert.equal(ration.isStale(), false);
    ration.admit({ ...record('large'), entry: entry('large', 1000) });
    assert.equal(ration.isStale(), true);
    ration.measured(ROOM);
    assert.equal(ration.isStale(), false);
    ration.measured(FULL);
    assert.equal(ration.isStale(), false, 'acknowledgements ask for that');
  });
});
