/** A spool that is as large as it may be, and clients that go on: it grows no further, and what is lost is told. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createEventClock } from '../../../src/event/clock.ts';
import { newUid } from '../../../src/event/uid.ts';
import { SEVERITY } from '../../../src/event/vocabulary.ts';
import { RETAIN_INTERVAL_MS } from '../../../src/export/spool.ts';
import { LINE_BYTES_MAX } from '../../../src/spool/line.ts';
import { callBytesMax, createRation, HELD_MAX } from '../../../src/spool/ration.ts';
import { eventually } from '../../support/collector.ts';
import { entry } from '../../support/spooled.ts';
import { linesOf, open } from './spool-scene.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-full-'));
after(() => rmSync(root, { recursive: true, force: true }));

const MAX = 64 * 1024 ** 2;

test('calls that nobody waits for bring outcomes with them, which do not use up what gaps need', () => {
  const ration = createRation(MAX);
  const before = callBytesMax(MAX) + 1;
  ration.measured({ bytes: before, full: true });
  let taken = 0;
  for (let index = 0; index < 5 * HELD_MAX; index += 1) {
    const decision = `d${index}`;
    assert.equal(
      ration.admit({ uid: decision, name: 'verdict.decision', entry: entry(decision, 1000) }),
      false,
    );
    const outcome = { ...entry(`o${index}`, 1000), closes: decision };
    if (ration.admit({ uid: `o${index}`, name: 'verdict.outcome', entry: outcome })) taken += 1000;
  }
  assert.equal(taken, 0, 'an outcome goes with its decision');
  // Of calls that were let through before.
  for (let index = 0; index < 5 * HELD_MAX; index += 1) {
    const outcome = { ...entry(`b${index}`, 1000), closes: `before${index}` };
    if (ration.admit({ uid: `b${index}`, name: 'verdict.outcome', entry: outcome })) taken += 1000;
  }
  assert.ok(taken > 0 && before + taken <= MAX, `${taken} bytes`);
  for (const name of ['verdict.gap', 'verdict.checkpoint', 'verdict.lifecycle']) {
    assert.ok(ration.admit({ uid: name, name, entry: entry(name) }), name);
  }
});

test('a record that no line can hold takes none with it, is refused, and its loss is itself on record', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const directory = join(root, 'spool');
  const spool = await open(directory);
  t.after(() => spool.stop(0));
  const note = (message: string): string => {
    const uid = newUid(Date.now());
    // As another program's record comes: of our own no text is as long.
    spool.append({
      name: 'log',
      severity: SEVERITY.info,
      trace: undefined,
      service: { name: 'other', instanceId: 'one' },
      attributes: { 'log.record.uid': uid, 'verdict.time': createEventClock().tick().rfc3339, message },
    });
    return uid;
  };
  const [before, giant, after] = [note('before'), note('x'.repeat(LINE_BYTES_MAX)), note('after')];
  await spool.recorded(after);
  await spool.recorded(before);
  await assert.rejects(spool.recorded(giant), { code: 'audit_unavailable' });
  const { lost } = spool.status().writer;
  assert.equal(lost, 1);
  t.mock.timers.tick(RETAIN_INTERVAL_MS);
  const told = await eventually(
    () => {
      const bodies = readdirSync(join(directory, spool.position().stream))
        .filter((name) => /^\d+\.log$/.test(name))
        .map((name) => join(directory, spool.position().stream, name))
        .filter((path) => readFileSync(path).includes('audit_restored'))
        .flatMap((path) => linesOf(path).map(({ json }) => json));
      const restored = bodies.find((body) => body.includes('"audit_restored"'));
      return restored === undefined ? undefined : (JSON.parse(restored) as Record<string, unknown>);
    },
    { what: 'a record of the loss' },
  );
  assert.equal(told['verdict.lifecycle.lost'], lost);
  assert.equal(told['verdict.lifecycle.refused'], 0);
});
