/** Whatever happens to the disk and the process: what was promised is there, in order, and nothing void is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { runs } from '../support/runs.ts';
import { life } from '../support/spool-life.ts';
import { SpoolModel } from '../support/spool-model.ts';

const RUNS = runs(75);

test('no promise is broken by power cuts, kills, full disks, failing disks and restarts', async () => {
  const sums = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(life, async ({ seed, steps }) => {
      const model = new SpoolModel(seed);
      await model.run(steps);
      for (const [name, count] of Object.entries(model.counts)) sums.set(name, (sums.get(name) ?? 0) + count);
    }),
    { numRuns: RUNS },
  );
  // It did happen: else the test would prove nothing.
  for (const [name, count] of sums) assert.ok(count > RUNS / 30, `${name}: ${count}`);
});

test('the same with syncs that do nothing breaks promises', async () => {
  const result = await fc.check(
    fc.asyncProperty(life, ({ seed, steps }) => new SpoolModel(seed, { syncs: false }).run(steps)),
    { numRuns: RUNS, endOnFailure: true },
  );
  assert.ok(result.failed, 'a test that cannot fail proves nothing');
  assert.match(String(result.errorInstance), /was promised|is lost|damage where|shorter than/);
});
