import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  createKeySet,
  KEYS_AGE_MS_MAX,
  KEYS_COOLDOWN_MS,
  KEYS_FRESH_MS,
  KEYS_MAX,
  KEYS_RETRY_MS,
  KeysUnavailable,
} from '../../src/identity/key-set.ts';
import { newPair, type SigningPair } from '../support/tokens.ts';

let first: SigningPair;
let second: SigningPair;

before(async () => {
  [first, second] = await Promise.all([newPair('k1'), newPair('k2')]);
});

function issuer() {
  const state = {
    nowMs: 1_000_000,
    keys: [first.jwk] as unknown[],
    down: false,
    fetches: 0,
    told: [] as string[],
  };
  const find = createKeySet({
    load: async () => {
      state.fetches += 1;
      if (state.down) throw new Error('ECONNREFUSED');
      return { keys: state.keys };
    },
    nowMs: () => state.nowMs,
    failed: (message) => state.told.push(message),
  });
  const has = (kid: string): Promise<boolean> =>
    Promise.resolve(find({ alg: 'ES256', kid }, { payload: '', signature: '' })).then(
      () => true,
      (error: unknown) => {
        if (error instanceof KeysUnavailable) throw error;
        return false;
      },
    );
  return { state, has };
}

describe('the keys of an issuer', () => {
  test('are fetched once, when they are first needed, however many tokens come at once', async () => {
    const { state, has } = issuer();
    assert.equal(state.fetches, 0);
    assert.deepEqual(await Promise.all([has('k1'), has('k1'), has('k1')]), [true, true, true]);
    assert.equal(state.fetches, 1);
  });

  test('are fetched again for a new one, but not more often than the cooldown allows', async () => {
    const { state, has } = issuer();
    await has('k1');
    state.keys = [second.jwk];
    assert.equal(await has('k2'), false, 'within the cooldown');
    assert.equal(state.fetches, 1);
    state.nowMs += KEYS_COOLDOWN_MS;
    assert.equal(await has('k2'), true);
    assert.equal(await has('k1'), false, 'one that was taken out is gone');
    for (let index = 0; index < 100; index += 1) await has(`guess-${index}`);
    assert.equal(state.fetches, 2);
  });

  test('serve on while they are fetched anew', async () => {
    const { state, has } = issuer();
    await has('k1');
    state.nowMs += KEYS_FRESH_MS;
    state.keys = [second.jwk];
    assert.equal(await has('k1'), true);
    assert.equal(state.fetches, 2);
    assert.equal(await has('k2'), true);
  });

  test('that cannot be fetched anew are believed up to an age, and then no more', async () => {
    const { state, has } = issuer();
    await has('k1');
    state.down = true;
    state.nowMs += KEYS_AGE_MS_MAX - 1;
    assert.equal(await has('k1'), true);
    state.nowMs += 1;
    await assert.rejects(has('k1'), KeysUnavailable);
    state.down = false;
    state.nowMs += KEYS_RETRY_MS;
    assert.equal(await has('k1'), true);
  });

  test('that cannot be fetched deny at once until it is time to try again, and each failure is told', async () => {
    const { state, has } = issuer();
    state.down = true;
    await assert.rejects(has('k1'), { name: 'KeysUnavailable', message: 'ECONNREFUSED' });
    for (let index = 0; index < 10; index += 1) await assert.rejects(has('k1'), KeysUnavailable);
    assert.equal(state.fetches, 1);
    state.down = false;
    state.nowMs += KEYS_RETRY_MS - 1;
    await assert.rejects(has('k1'), KeysUnavailable);
    state.nowMs += 1;
    assert.equal(await has('k1'), true);
    assert.deepEqual(state.told, ['ECONNREFUSED']);
  });

  const broken: readonly (readonly [string, () => unknown[]])[] = [
    ['more keys than anybody has', () => Array.from({ length: KEYS_MAX + 1 }, () => first.jwk)],
    ['keys that are none', () => ['k1']],
  ];
  for (const [what, keys] of broken) {
    test(`with ${what} are not read`, async () => {
      const { state, has } = issuer();
      state.keys = keys();
      await assert.rejects(has('k1'), KeysUnavailable);
    });
  }

  test('never hold a shared secret or a private key that a token could be checked with', async () => {
    const { state, has } = issuer();
    state.keys = [{ kty: 'oct', kid: 'k1', k: 'c2VjcmV0', alg: 'HS256' }];
    const find = createKeySet({
      load: async () => ({ keys: state.keys }),
      nowMs: () => 0,
      failed: () => {},
    });
    await assert.rejects(async () => find({ alg: 'HS256', kid: 'k1' }, { payload: '', signature: '' }));
    assert.equal(await has('k1'), false);
  });
});
