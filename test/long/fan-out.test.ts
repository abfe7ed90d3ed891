/**
 * Each destination of collector-config/ alone, in both topologies: 5,000 decisions, and every fault for a minute. Mostly
 * waiting, so several run at once. MCP_VERDICT_LONG_FAULT_SECONDS sets another length.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { startFanOut, type FanOut } from '../support/fan-out-scene.ts';
import type { DestinationKind, Topology } from '../support/fan-out/destination.ts';
import {
  assertDelaysNoOther,
  assertHealed,
  assertNamed,
  assertWhole,
  FAULTS,
  settled,
  suffer,
} from '../support/fan-out/faults.ts';
import { DESTINATIONS, skipWithoutDestinations } from '../support/fan-out/kinds.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 7_200_000;
const TESTS_AT_ONCE = 4;
const CALLS = 5000;
const FAULT_SECONDS = Number(process.env['MCP_VERDICT_LONG_FAULT_SECONDS'] ?? 60);
/** Longer than the longest wait before anything is tried again, the collector's or ours. */
const MEASURE = { calls: 200, holdMs: FAULT_SECONDS * 1000, timeoutMs: 120_000 };
const TOPOLOGIES: readonly Topology[] = ['A', 'B'];

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-fan-out-'));
after(() => rmSync(root, { recursive: true, force: true }));

async function alone(t: TestContext, kind: DestinationKind, topology: Topology): Promise<FanOut> {
  const dir = mkdtempSync(join(root, `${kind.name}-${topology}-`));
  const scene = await startFanOut({ dir, topology, kinds: [kind] });
  t.after(scene.close);
  return scene;
}

const options = { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS, concurrency: TESTS_AT_ONCE };

describe('each destination alone', options, () => {
  for (const kind of DESTINATIONS) {
    const { name, deletesOn } = kind;
    for (const topology of TOPOLOGIES) {
      test(`${name}, ${topology}: ${CALLS} decisions, each once`, async (t) => {
        const scene = await alone(t, kind, topology);
        await scene.calls(CALLS);
        await scene.hostile();
        await scene.stopProxy();
        await scene.arrived({ timeoutMs: MEASURE.timeoutMs });
        assert.equal((await scene.compare(name)).duplicates, 0);
        await assertWhole(scene, name);
      });

      for (const each of FAULTS) {
        const deletes = topology === 'A' && deletesOn.some((status) => status === each.fault);
        const end = deletes ? 'what the collector deletes is named, and replay heals it' : 'nothing is lost';
        test(`${name}, ${topology}: it ${each.what} for ${FAULT_SECONDS} s, and ${end}`, async (t) => {
          const scene = await alone(t, kind, topology);
          const spell = await suffer(scene, [name], each, MEASURE);
          // Where a 400 is told as such, mcp-verdict waits minutes before it asks again, or until it ends.
          if (!deletes && each.fault !== 400) await scene.arrived({ timeoutMs: MEASURE.timeoutMs });
          await scene.stopProxy();
          await settled(scene, [name], MEASURE.timeoutMs);
          if (deletes) await assertNamed(scene, kind, spell);
          if (deletes) await assertHealed(scene, name);
          await assertWhole(scene, name);
        });
      }
    }
  }
});

describe('one that is dead from the start', options, () => {
  for (const { name: dead } of DESTINATIONS) {
    const living = DESTINATIONS.map(({ name }) => name).filter((name) => name !== dead);
    for (const topology of TOPOLOGIES) {
      test(`${dead}, ${topology}: it delays no other, and has everything when it is back`, async (t) => {
        const dir = mkdtempSync(join(root, `dead-${dead}-${topology}-`));
        const scene = await startFanOut({ dir, topology, kinds: DESTINATIONS });
        t.after(scene.close);
        await assertDelaysNoOther(scene, { dead, living });
      });
    }
  }
});

describe('a queue that is full', { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS }, () => {
  test('A: it refuses, so the others wait and get some twice, and nobody loses anything', async (t) => {
    const [first, ...others] = DESTINATIONS;
    assert.ok(first !== undefined);
    const living = others.map(({ name }) => name);
    // Smaller than what the calls make, and larger than any one request, which would never fit.
    const overlay = { exporters: { [first.exporter]: { sending_queue: { queue_size: 3_000_000 } } } };
    const scene = await startFanOut({ dir: join(root, 'full'), topology: 'A', kinds: DESTINATIONS, overlay });
    t.after(scene.close);
    await scene.destination(first.name).front.set('refuse');
    await scene.calls(4000);
    await assert.rejects(scene.arrived({ names: living, timeoutMs: 20_000 }), /in vain/);
    await scene.destination(first.name).front.set('pass');
    await scene.arrived({ timeoutMs: 90_000 });
    await scene.stopProxy();
    await scene.arrived();
    for (const { name } of DESTINATIONS) await assertWhole(scene, name);
    const duplicates = await Promise.all(living.map(async (name) => (await scene.compare(name)).duplicates));
    assert.ok(
      duplicates.some((count) => count > 0),
      'nothing came twice, so the queue was never full',
    );
  });
});
