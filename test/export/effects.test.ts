import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { canonicalEvent } from '../../src/event/canonical.ts';
import { createVerifier } from '../../src/event/verify.ts';
import { selectEffects } from '../../src/export/effects.ts';
import { firstLink, stamp } from '../../src/event/stamp.ts';
import type { Effect, EventName } from '../../src/event/vocabulary.ts';
import { DECISION, LIFECYCLE, OUTCOME } from '../event/sample.ts';
import { createMemoryStream, STREAM } from './memory-stream.ts';
import { startScene } from './pump-scene.ts';
import { REFUSED, scripted, SUCCESS } from './scripted-exporter.ts';

const body = (name: EventName, effect?: Effect, more = {}): string =>
  canonicalEvent({ 'event.name': name, ...(effect && { 'verdict.decision.effect': effect }), ...more });

/** A stream: its start, then a decision of each effect. */
function chainOf(effects: readonly Effect[]): string[] {
  let link = firstLink(STREAM);
  const records = [
    LIFECYCLE,
    ...effects.map((effect, index) => ({
      ...DECISION,
      attributes: {
        ...DECISION.attributes,
        'verdict.decision.effect': effect,
        'log.record.uid': `019aaaaa-0000-7000-8000-${String(index + 10).padStart(12, '0')}`,
      },
    })),
    OUTCOME,
  ];
  return records.map((record) => {
    const stamped = stamp(link, record);
    link = stamped.next;
    return stamped.body;
  });
}

describe('effects', () => {
  test('pick decisions of these effects, and approvals with those that need one', () => {
    const denied = selectEffects(['deny']);
    const both = selectEffects(['deny', 'require_approval']);
    const bodies = [
      body('verdict.decision', 'allow'),
      body('verdict.decision', 'deny'),
      body('verdict.decision', 'require_approval'),
      body('verdict.approval'),
      body('verdict.outcome'),
      body('verdict.lifecycle'),
      body('verdict.checkpoint'),
    ];
    assert.deepEqual(bodies.map(denied), [false, true, false, false, false, false, false]);
    assert.deepEqual(bodies.map(both), [false, true, true, true, false, false, false]);
  });

  test('cannot be forged by what callers send', () => {
    const forged = '"event.name":"verdict.decision","verdict.decision.effect":"allow"';
    fc.assert(
      fc.property(fc.string(), fc.constantFrom<Effect>('allow', 'deny'), (text, effect) => {
        const name = `${text}${forged}`;
        const sent = { 'client.address': name, 'verdict.arguments.keys': [name, forged], 'user.id': forged };
        assert.equal(selectEffects(['allow'])(body('verdict.decision', effect, sent)), effect === 'allow');
        assert.equal(selectEffects(['allow'])(body('verdict.outcome', undefined, sent)), false);
      }),
    );
  });
});

describe('a pump that sends some records only', () => {
  const EFFECTS: readonly Effect[] = ['allow', 'deny', 'allow', 'deny', 'deny', 'allow'];
  const select = selectEffects(['deny']);

  test('passes the others, and its cursor stands at the end', async (t) => {
    const { exporter, calls } = scripted(() => SUCCESS);
    const stream = createMemoryStream(chainOf(EFFECTS));
    const scene = startScene(t, { streams: [stream], exporter: () => exporter, select });
    await scene.drained();
    assert.deepEqual(calls, [[3, 5, 6]]);
    assert.equal(stream.cursor.position()?.sequence, 8);
    assert.equal(scene.pump.status().delivered, 3);
  });

  test('passes batches of which it sends nothing', async (t) => {
    const { exporter, calls } = scripted(() => SUCCESS);
    const stream = createMemoryStream(chainOf(Array.from({ length: 50 }, () => 'allow')));
    const scene = startScene(t, { streams: [stream], exporter: () => exporter, select, recordsMax: 5 });
    await scene.drained();
    assert.deepEqual(calls, []);
    assert.equal(stream.cursor.position()?.sequence, 52);
  });

  test('takes a bad record for one only where a record that was really sent is taken', async (t) => {
    // 3 is good, 6 is refused; what was never sent proves nothing of the set-up.
    const { exporter, calls } = scripted((sequences) => (sequences.includes(6) ? REFUSED : SUCCESS));
    const stream = createMemoryStream(chainOf(EFFECTS));
    const scene = startScene(t, { streams: [stream], exporter: () => exporter, select });
    await scene.drained();
    assert.deepEqual(
      scene.letters.map(({ sequence }) => sequence),
      [6],
    );
    assert.ok(calls.flat().every((sequence) => [3, 5, 6].includes(sequence)));
  });

  test('sets nothing aside while all that it sends is refused', async (t) => {
    let refusing = true;
    const { exporter, accepted } = scripted(() => (refusing ? REFUSED : SUCCESS));
    const stream = createMemoryStream(chainOf(EFFECTS));
    const scene = startScene(t, { streams: [stream], exporter: () => exporter, select });
    while (scene.pump.status().alarm === undefined) await new Promise(setImmediate);
    refusing = false;
    await scene.drained();
    assert.deepEqual(scene.letters, []);
    assert.deepEqual([...new Set(accepted)], [3, 5, 6]);
  });
});

describe('verify over a destination that got some records only', () => {
  const said = (bodies: readonly string[]): string[] => {
    const verifier = createVerifier();
    for (const each of bodies) verifier.add(each);
    const { ok, findings } = verifier.report();
    assert.equal(ok, false, 'never proven');
    return findings.map(({ kind }) => kind);
  };

  for (const effects of [['deny'], ['allow'], ['allow', 'deny', 'require_approval']] as const) {
    test(`says that it is filtered (${effects.join(', ')})`, () => {
      const chain = chainOf(['allow', 'deny', 'deny', 'allow', 'require_approval']);
      assert.ok(said(chain.filter(selectEffects(effects))).includes('filtered'));
    });
  }

  test('says so even of a run of decisions without a hole between them', () => {
    const chain = chainOf(['deny', 'deny', 'deny']);
    assert.ok(said(chain.filter(selectEffects(['deny']))).includes('filtered'));
  });

  test('does not say so of one that lost a record', () => {
    const chain = chainOf(['deny', 'allow', 'deny']);
    assert.ok(!said(chain.toSpliced(2, 1)).includes('filtered'));
  });
});
