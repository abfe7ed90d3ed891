/**
 * Each destination of collector-config/ alone, in topology B: nothing missing, nothing invented, the chain whole. In
 * topology A the fast lane has them together (fan-out-all.test.ts); test/long/fan-out.test.ts has each alone in both.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { startFanOut } from '../support/fan-out-scene.ts';
import { DESTINATIONS, skipWithoutDestinations } from '../support/fan-out/kinds.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;
const CALLS = 300;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-fan-out-'));
after(() => rmSync(root, { recursive: true, force: true }));

describe('one destination', { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS, concurrency: 2 }, () => {
  for (const kind of DESTINATIONS) {
    test(`${kind.name}: it returns each record once, with its fields, and the chain is proven from that`, async (t) => {
      const scene = await startFanOut({
        dir: join(root, kind.name),
        topology: 'B',
        kinds: [kind],
      });
      t.after(scene.close);
      await scene.calls(CALLS);
      await scene.hostile();
      await scene.stopProxy();
      await scene.arrived();
      assert.deepEqual(await scene.compare(kind.name), { missing: [], duplicates: 0 });
      const { code, said } = await scene.verify(kind.name);
      assert.equal(code, 0, said);
    });
  }
});
