/** What may be held at one time: bytes that come in, and lines that a client does not take. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBudget } from '../../../../src/proxy/bridge/remote/budget.ts';
import { Intake } from '../../../../src/proxy/bridge/remote/intake.ts';
import { REMOTE_LIMITS, remoteLimits, retryDelayMs } from '../../../../src/proxy/bridge/remote/limits.ts';

test('bytes have room up to the bound, over all; one alone always has', () => {
  const share = createBudget(100);
  const [one, two] = [share(), share()];
  assert.ok(one.hold(60));
  assert.ok(two.hold(40));
  assert.ok(!two.hold(41));
  assert.ok(!one.hold(61));
  // What it held before it still holds.
  assert.ok(one.hold(60));
  assert.ok(two.hold(10));
  assert.ok(one.hold(90));
  assert.ok(two.hold(0));
  assert.ok(one.hold(1_000));
  assert.ok(!two.hold(1));
  // Over the bound, to hold less is always right.
  assert.ok(one.hold(999));
  assert.ok(one.hold(0));
  assert.ok(two.hold(100));
});

const SEEN = { read: { kind: 'response', id: null, outcome: { status: 'ok' } }, httpStatus: 200 } as const;
const text = (line: { readonly kind: string; readonly framed?: Uint8Array }): string =>
  Buffer.from(line.framed ?? []).toString();

test('a message waits until those before it have room, however many connections bring one', async () => {
  const got: string[] = [];
  const room = Promise.withResolvers<void>();
  const intake = new Intake();
  intake.open({
    fromUpstream: (line) => (got.push(text(line)) === 1 ? room.promise : undefined),
    unanswered: (id) => void got.push(id.text),
  });
  assert.equal(intake.waiting, false);
  const all = [
    intake.take(Buffer.from('1'), SEEN),
    intake.take(Buffer.from('2'), SEEN),
    intake.unanswered({ json: '3', text: '3' }, { status: 'ok' }, undefined),
  ];
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(got, ['1\n']);
  assert.equal(intake.waiting, true);
  room.resolve();
  await Promise.all(all);
  assert.deepEqual(got, ['1\n', '2\n', '3']);
  assert.equal(intake.waiting, false);
  assert.equal(intake.taken, 3);
});

test('after its end an intake takes nothing, not even what was waiting', async () => {
  const got: string[] = [];
  const room = Promise.withResolvers<void>();
  const intake = new Intake();
  intake.open({ fromUpstream: (line) => (got.push(text(line)), room.promise), unanswered: () => undefined });
  const all = [intake.take(Buffer.from('1'), SEEN), intake.take(Buffer.from('2'), SEEN)];
  intake.stop();
  room.resolve();
  await Promise.all(all);
  assert.deepEqual(got, ['1\n']);
});

for (const name of Object.keys(REMOTE_LIMITS) as (keyof typeof REMOTE_LIMITS)[]) {
  test(`${name} has its default, and may be set up to its maximum`, () => {
    const { default: usual, maximum } = REMOTE_LIMITS[name];
    assert.equal(remoteLimits()[name], usual);
    assert.equal(remoteLimits({ [name]: maximum })[name], maximum);
    for (const wrong of [0, maximum + 1, 1.5]) {
      assert.throws(() => remoteLimits({ [name]: wrong }), {
        code: 'config_invalid',
        message: new RegExp(name),
      });
    }
  });
}

test('tries come at doubled times up to half a minute, or when the server has said, up to five', () => {
  assert.deepEqual(
    [0, 1, 2, 4, 5, 50].map((tries) => retryDelayMs(tries, undefined)),
    [1_000, 2_000, 4_000, 16_000, 30_000, 30_000],
  );
  assert.deepEqual(
    [0, 1, 3, 50].map((tries) => retryDelayMs(tries, 0)),
    [100, 200, 800, 30_000],
  );
  assert.equal(retryDelayMs(0, 7_500), 7_500);
  assert.equal(retryDelayMs(0, Number('9'.repeat(400))), 300_000);
});
