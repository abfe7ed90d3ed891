import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CHECKPOINT_BUSY_MS,
  CHECKPOINT_IDLE_MS,
  checkpointFields,
  nextCheckpointDelayMs,
} from '../../src/event/checkpoint.ts';
import { toAttributes } from '../../src/event/fields.ts';
import { verifyPlace } from '../../src/event/signing.ts';
import { newKey, publicOf } from './verify-scene.ts';

test('a checkpoint says what it signs, by which key, and the signature holds', () => {
  const key = newKey();
  const place = { stream: 's', sequence: 3, hash: 'ab'.repeat(32) };
  const fields = checkpointFields(key, place);
  assert.deepEqual(toAttributes(fields), fields);
  const { 'verdict.checkpoint.signature': signature, ...said } = fields;
  assert.deepEqual(said, {
    'verdict.checkpoint.stream': 's',
    'verdict.checkpoint.sequence': 3,
    'verdict.checkpoint.hash': 'ab'.repeat(32),
    'verdict.checkpoint.key_id': key.id,
  });
  assert.ok(verifyPlace(publicOf(key), place, signature ?? ''));
});

for (const [name, nowMs, recorded, delayMs] of [
  ['busy, just after one', 1000, true, CHECKPOINT_BUSY_MS],
  ['busy, half way', 6000, true, CHECKPOINT_BUSY_MS / 2],
  ['busy, due', 11_000, true, 0],
  ['busy, overdue', 99_000, true, 0],
  ['idle, just after one', 1000, false, CHECKPOINT_IDLE_MS],
  ['idle, ten seconds after', 11_000, false, 50_000],
  ['idle, due', 61_000, false, 0],
  ['records come after a long silence', 45_000, true, 0],
  ['a clock that went back', 0, false, CHECKPOINT_IDLE_MS],
] as const) {
  test(`the next checkpoint is due in ${delayMs} ms: ${name}`, () => {
    assert.equal(nextCheckpointDelayMs({ nowMs, lastMs: 1000, recorded }), delayMs);
  });
}
