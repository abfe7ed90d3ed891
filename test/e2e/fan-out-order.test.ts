/** One request after the other to each destination, however slow it is: that is what keeps records in their order there. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startFanOut } from '../support/fan-out-scene.ts';
import { DESTINATIONS, skipWithoutDestinations } from '../support/fan-out/kinds.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-fan-out-'));
after(() => rmSync(root, { recursive: true, force: true }));

for (const topology of ['A', 'B'] as const) {
  test(
    `${topology}: no destination has two requests at once, though it is slower than records come`,
    { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS },
    async (t) => {
      // Each request is an object, so that S3 too has many.
      const overlay =
        topology === 'A'
          ? { exporters: { 'awss3/audit': { sending_queue: { batch: { min_size: 1 } } } } }
          : {};
      const scene = await startFanOut({ dir: join(root, topology), topology, kinds: DESTINATIONS, overlay });
      t.after(scene.close);
      const fronts = DESTINATIONS.map(({ name }) => [name, scene.destination(name).front] as const);
      for (const [, front] of fronts) await front.set('slow');
      for (let round = 0; round < 60; round += 1) await scene.calls(8);
      await scene.stopProxy();
      await scene.arrived();
      for (const [name, front] of fronts) {
        const { seen, atOnce } = front.requests();
        assert.ok(seen > 3, `${name} has seen ${seen} requests`);
        assert.equal(atOnce, 1, name);
      }
    },
  );
}
