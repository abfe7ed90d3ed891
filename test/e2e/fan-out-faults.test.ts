/**
 * All destinations fail at once in every way, for a moment each, one way after the other. In B nothing is lost. In A
 * nothing is lost but what the collector deletes when it is told 400 or 401; that is named, and a replay heals it.
 * The long lane has the same for each destination and each way alone, for a minute.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { startFanOut } from '../support/fan-out-scene.ts';
import {
  assertHealed,
  assertNamed,
  assertWhole,
  FAULTS,
  hastyOverlay,
  settled,
  suffer,
} from '../support/fan-out/faults.ts';
import { DESTINATIONS, skipWithoutDestinations } from '../support/fan-out/kinds.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 180_000;
const MEASURE = { calls: 40, holdMs: 600, timeoutMs: 60_000 };

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-fan-out-'));
after(() => rmSync(root, { recursive: true, force: true }));

const names = DESTINATIONS.map(({ name }) => name);
const isDeleting = (fault: unknown): boolean => fault === 400 || fault === 401;

describe(
  'all destinations fail',
  { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS, concurrency: 2 },
  () => {
    test('A: what passes loses nothing; what the collector deletes is named, and replay heals it', async (t) => {
      const overlay = hastyOverlay(DESTINATIONS, 'A');
      const scene = await startFanOut({ dir: join(root, 'A'), topology: 'A', kinds: DESTINATIONS, overlay });
      t.after(scene.close);
      for (const each of FAULTS.filter(({ fault }) => !isDeleting(fault))) {
        await suffer(scene, names, each, MEASURE);
        await scene.arrived();
      }
      const spell = await suffer(scene, names, { what: 'answers 401', fault: 401 }, MEASURE);
      await scene.stopProxy();
      await settled(scene, names, MEASURE.timeoutMs);
      const deleting = DESTINATIONS.filter(({ deletesOn }) => deletesOn.includes(401));
      for (const kind of deleting) await assertNamed(scene, kind, spell);
      // Through the collector a replay reaches every destination; what one has already comes twice there.
      for (const { name } of deleting) await assertHealed(scene, name);
      for (const name of names) await assertWhole(scene, name);
    });

    test('B: nothing is lost, whatever they answer', async (t) => {
      const overlay = hastyOverlay(DESTINATIONS, 'B');
      const scene = await startFanOut({ dir: join(root, 'B'), topology: 'B', kinds: DESTINATIONS, overlay });
      t.after(scene.close);
      // 400 is the last: where it is told as such, mcp-verdict waits minutes before it asks again, or until it ends.
      for (const each of FAULTS) await suffer(scene, names, each, MEASURE);
      await scene.stopProxy();
      await scene.arrived();
      for (const name of names) await assertWhole(scene, name);
    });
  },
);
