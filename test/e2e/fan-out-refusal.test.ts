/**
 * Strict: a destination that refuses one record for what it is. Where it is told as a refusal, that record alone is set
 * aside, and said; where the collector makes a fault of it, everything behind it waits, and nothing is lost.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { DEAD_LETTER_DIRECTORY } from '../../src/export/dead-letter.ts';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { startFanOut, type FanOut } from '../support/fan-out-scene.ts';
import { datadog } from '../support/fan-out/datadog.ts';
import type { DestinationKind } from '../support/fan-out/destination.ts';
import { assertWhole } from '../support/fan-out/faults.ts';
import { splunk } from '../support/fan-out/splunk.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 120_000;
const BAD = 'what-nobody-takes';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-refusal-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** One bad record between good ones, at a destination that has taken some before. */
async function refusing(t: TestContext, kind: DestinationKind): Promise<FanOut> {
  const scene = await startFanOut({ dir: join(root, kind.name), topology: 'B', kinds: [kind] });
  t.after(scene.close);
  await scene.calls(20);
  await scene.arrived();
  await scene.destination(kind.name).front.set({ text: BAD, status: 400 });
  await scene.say(BAD);
  await scene.calls(20);
  return scene;
}

describe('one record that is refused', { skip: skipWithoutCollector(), timeout: TIMEOUT_MS }, () => {
  test('told as a refusal: it alone is set aside, the others arrive, and a record says what is missing', async (t) => {
    const scene = await refusing(t, datadog);
    await scene.proxy().waitFor(/record \d+ is set aside/);
    await scene.stopProxy();
    const { missing } = await scene.compare('datadog');
    assert.equal(missing.length, 1);
    const [bad] = missing;
    assert.match(String(bad?.['gen_ai.tool.call.arguments']), new RegExp(BAD));
    const letters = readdirSync(join(scene.spool, DEAD_LETTER_DIRECTORY));
    assert.equal(letters.length, 1);
    const letter = readFileSync(join(scene.spool, DEAD_LETTER_DIRECTORY, letters[0] ?? ''), 'utf8');
    assert.ok(letter.includes(String(bad?.['log.record.uid'])));
    const gaps = (await scene.recorded()).filter(({ body }) => body['event.name'] === 'verdict.gap');
    assert.deepEqual(
      gaps.map(({ body }) => [
        body['verdict.gap.reason'],
        body['verdict.gap.exporter'],
        body['verdict.gap.from'],
      ]),
      [['dead_letter', 'datadog', bad?.['verdict.stream.sequence']]],
    );
    const { code, said } = await scene.verify('datadog');
    assert.equal(code, 1, said);
    // Once the destination has been talked round, it can have it.
    await scene.destination('datadog').front.set('pass');
    assert.equal(await scene.heal('datadog'), 1, said);
    assert.deepEqual((await scene.compare('datadog')).missing, []);
  });

  test('told as a fault: what is behind it waits, with an alarm, and all of it arrives in the end', async (t) => {
    const scene = await refusing(t, splunk);
    await scene.proxy().waitFor(/error exporter splunk: records wait in the spool: .*500/);
    assert.ok(!existsSync(join(scene.spool, DEAD_LETTER_DIRECTORY)));
    await scene.destination('splunk').front.set('pass');
    await scene.arrived();
    await scene.stopProxy();
    await scene.arrived();
    await assertWhole(scene, 'splunk');
  });
});
