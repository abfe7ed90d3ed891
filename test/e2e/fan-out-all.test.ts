/**
 * All destinations behind one collector, as it is shipped: thousands of decisions, and each destination returns each of
 * them once, with its fields, so that the chain is proven from there. One that is dead all the time delays no other.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { startFanOut } from '../support/fan-out-scene.ts';
import { assertDelaysNoOther, assertWhole } from '../support/fan-out/faults.ts';
import { DESTINATIONS, skipWithoutDestinations } from '../support/fan-out/kinds.ts';
import { runs } from '../support/runs.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 400_000;
const CALLS = runs(2000);

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-fan-out-'));
after(() => rmSync(root, { recursive: true, force: true }));

const names = DESTINATIONS.map(({ name }) => name);
const [dead, ...living] = names;

describe('all destinations', { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS }, () => {
  test(`${CALLS} decisions are in each of them once, with the right fields, and each proves the chain`, async (t) => {
    const scene = await startFanOut({ dir: join(root, 'all'), topology: 'A', kinds: DESTINATIONS });
    t.after(scene.close);
    await scene.calls(CALLS);
    await scene.hostile();
    await scene.stopProxy();
    await scene.arrived();
    for (const name of names) {
      const { missing, duplicates } = await scene.compare(name);
      assert.deepEqual({ missing, duplicates }, { missing: [], duplicates: 0 }, name);
      await assertWhole(scene, name);
    }
  });

  for (const topology of ['A', 'B'] as const) {
    test(`${topology}: one that is dead from the start delays no other, and has everything when it is back`, async (t) => {
      assert.ok(dead !== undefined);
      const scene = await startFanOut({ dir: join(root, `dead-${topology}`), topology, kinds: DESTINATIONS });
      t.after(scene.close);
      await assertDelaysNoOther(scene, { dead, living });
    });
  }
});
