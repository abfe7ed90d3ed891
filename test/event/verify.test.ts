import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { adoptionText, createVerifier } from '../../src/event/verify.ts';
import type { VerifierOptions } from '../../src/event/verify.ts';
import { FINDINGS_MAX, reportLines } from '../../src/event/verify-report.ts';
import { runs } from '../support/runs.ts';
import {
  canonical,
  edit,
  KEY,
  Scene,
  START_MS,
  streamId,
  told,
  TRUSTED,
  verify,
  wholeStream,
} from './verify-scene.ts';

test('a stream that was stopped and signed is proven from its first record to its last', () => {
  const report = verify(wholeStream().bodies);
  assert.deepEqual(report.findings, []);
  assert.deepEqual(report.streams, [
    {
      stream: streamId(1),
      ok: true,
      records: 10,
      duplicates: 0,
      proven: [{ from: 1, to: 10 }],
      signedTo: 9,
      end: 'stop',
      keys: [KEY.id],
      firstTime: '2026-11-22T09:00:01.000Z',
      lastTime: '2026-11-22T09:00:10.000Z',
    },
  ]);
  assert.deepEqual([report.ok, report.signatures, report.records], [true, 'checked', 10]);
});

test('without a key the chain can be whole, and the report says that signatures were not checked', () => {
  const report = verify(wholeStream().bodies, {});
  assert.deepEqual(
    [report.ok, report.signatures, report.streams[0]?.signedTo],
    [true, 'not_checked', undefined],
  );
  assert.match(
    reportLines(report).join('\n'),
    /All proven: 10 records.*Unsigned: signatures were not checked/,
  );
});

test('order, duplicates and other streams in between change nothing', () => {
  const [first, second] = [wholeStream(1), wholeStream(2)];
  const all = [...first.bodies, ...second.bodies];
  const repeated = fc.array(fc.constantFrom(...all), { maxLength: 12 });
  const mixed = repeated.chain((more) =>
    fc.tuple(
      fc.shuffledSubarray([...all, ...more], { minLength: all.length + more.length }),
      fc.constant(more.length),
    ),
  );
  fc.assert(
    fc.property(mixed, ([bodies, duplicates]) => {
      const report = verify(bodies);
      assert.deepEqual(told(report), []);
      assert.deepEqual([report.records, report.duplicates, report.ok], [20, duplicates, true]);
    }),
    { numRuns: runs(25) },
  );
});

test('property: a record left out, cut or edited at random is never called proven', () => {
  const { bodies } = wholeStream();
  const place = fc.nat(bodies.length - 1);
  fc.assert(
    fc.property(place, fc.constantFrom('drop', 'edit', 'truncate'), fc.nat(), (at, how, where) => {
      // Of the last checkpoint nothing but its own statement is signed: without it the end is still proven.
      const last = at === bodies.length - 1;
      fc.pre(!last || how === 'truncate');
      const broken = bodies.flatMap((body, index) => {
        if (index !== at) return [body];
        if (how === 'drop') return [];
        if (how === 'truncate') return [body.slice(0, where % body.length)];
        return [edit(body, { 'service.instance.id': `x${where}` })];
      });
      assert.equal(verify(broken).ok, false);
    }),
    { numRuns: runs(50) },
  );
});

test('nothing at all proves nothing', () => {
  assert.deepEqual(told(verify([])), ['nothing']);
  assert.deepEqual(told(verify(wholeStream(1).bodies, { ...TRUSTED, only: streamId(9) })), ['nothing']);
});

const noRecords: [name: string, body: string][] = [
  ['nothing', ''],
  ['half a body', wholeStream().bodies[0]?.slice(0, 90) ?? ''],
  ['a list', '[]'],
  ['no stream', edit(wholeStream().bodies[0] ?? '', { 'verdict.stream.id': undefined })],
  ['sequence 0', edit(wholeStream().bodies[0] ?? '', { 'verdict.stream.sequence': 0 })],
  ['sequence 1.5', edit(wholeStream().bodies[0] ?? '', { 'verdict.stream.sequence': 1.5 })],
  ['sequence as text', edit(wholeStream().bodies[0] ?? '', { 'verdict.stream.sequence': '1' })],
  [
    'a hash in upper case',
    edit(wholeStream().bodies[0] ?? '', { 'verdict.stream.previous_hash': 'A'.repeat(64) }),
  ],
  ['a key twice', (wholeStream().bodies[0] ?? '').replace('{', '{"event.name":"verdict.gap",')],
];

for (const [name, body] of noRecords) {
  test(`unreadable is named: ${name}`, () => {
    assert.deepEqual(told(verify([...wholeStream().bodies, body])), ['unreadable']);
  });
}

test('a body that was parsed and written again is named, and the chain still holds', () => {
  const { bodies } = wholeStream();
  const spaced = bodies.map((body, at) => (at === 4 ? JSON.stringify(JSON.parse(body), undefined, 1) : body));
  const report = verify(spaced);
  assert.deepEqual(told(report), ['reformatted 5-5']);
  assert.deepEqual(report.streams[0]?.proven, [{ from: 1, to: 10 }]);
});

for (const [name, rewrite] of [
  ['members in another order', (body: string) => JSON.stringify(reversed(body))],
  [
    'a lone surrogate, which no writer of ours lets through',
    (body: string) => body.replace('tool-2', '\\ud800'),
  ],
  ['an escape that is none in canonical form', (body: string) => body.replace('tool-2', 't\\u006fol-2')],
] as const) {
  test(`a body is not canonical: ${name}`, () => {
    const { bodies } = new Scene(1).start().calls(1);
    assert.ok(told(verify([bodies[0] ?? '', rewrite(bodies[1] ?? '')], {})).includes('reformatted 2-2'));
  });
}

function reversed(body: string): unknown {
  return Object.fromEntries(Object.entries(JSON.parse(body) as object).toReversed());
}

test('keys that a later version adds are part of what is proven', () => {
  const scene = new Scene(1).start();
  // The vocabulary does not know the key, so it goes in behind the writer's back.
  const members = JSON.parse(scene.bodies[0] ?? '') as Record<string, unknown>;
  for (const later of ['text', 1.5, [1, 2], null, { b: [true], a: { z: 1 } }, ['x']]) {
    const body = canonical({ ...members, 'verdict.later': later });
    const sorted = body.replace('{"b":[true],"a":{"z":1}}', '{"a":{"z":1},"b":[true]}');
    assert.deepEqual(told(verify([sorted], {})), ['no_end 1-1'], sorted);
  }
  const exact = canonical({ ...members, 'verdict.later': 0 }).replace(
    '"verdict.later":0',
    '"verdict.later":9007199254740993',
  );
  assert.deepEqual(told(verify([exact], {})), ['no_end 1-1']);
});

const attributeCases: [name: string, attributes: Record<string, unknown>, differs: string | undefined][] = [
  ['the same', { 'gen_ai.tool.name': 'tool-2', 'severity.number': 9 }, undefined],
  ['another value', { 'gen_ai.tool.name': 'harmless' }, 'gen_ai.tool.name'],
  ['the value in quotes', { 'gen_ai.tool.name': '"tool-2"' }, 'gen_ai.tool.name'],
  ['another severity', { 'severity.number': 13 }, 'severity.number'],
  ['another sequence', { 'verdict.stream.sequence': 3 }, 'verdict.stream.sequence'],
  ['a key of ours that the body does not hold', { 'verdict.rule.id': 'r' }, 'verdict.rule.id'],
  ['an unknown key in our name space', { 'verdict.x': 1 }, 'verdict.x'],
  ['what a collector adds', { 'k8s.pod.name': 'p' }, undefined],
  ['what a collector leaves out', {}, undefined],
];

for (const [name, attributes, differs] of attributeCases) {
  test(`attributes beside a body: ${name}`, () => {
    const verifier = createVerifier(TRUSTED);
    for (const [at, body] of wholeStream().bodies.entries())
      verifier.add(body, at === 1 ? attributes : undefined);
    const report = verifier.report();
    assert.deepEqual(told(report), differs === undefined ? [] : ['attributes 2-2']);
    if (differs !== undefined)
      assert.equal(report.findings[0]?.text, `attributes differ from the body: ${differs}`);
  });
}

test('a duplicate with other attributes is named', () => {
  const verifier = createVerifier(TRUSTED);
  const { bodies } = wholeStream();
  for (const body of bodies) verifier.add(body, {});
  verifier.add(bodies[1] ?? '', { 'verdict.decision.effect': 'deny' });
  assert.deepEqual(told(verifier.report()), ['attributes 2-2']);
});

const ends: [
  name: string,
  bodies: () => string[],
  options: VerifierOptions,
  end: string,
  findings: string[],
][] = [
  ['none', () => new Scene(1).start().calls(2).checkpoint().bodies, TRUSTED, 'none', ['no_end 4-4']],
  [
    'a checkpoint a minute old',
    () => new Scene(1).start().calls(2).checkpoint().bodies,
    { ...TRUSTED, nowMs: START_MS + 63_000 },
    'living',
    [],
  ],
  [
    'a checkpoint of an hour ago',
    () => new Scene(1).start().calls(2).checkpoint().bodies,
    { ...TRUSTED, nowMs: START_MS + 3_600_000 },
    'none',
    ['no_end 4-4'],
  ],
  ['asked for', () => wholeStream().bodies.slice(0, 7), { ...TRUSTED, expect: { to: 4 } }, 'expected', []],
  [
    'asked for, but unsigned',
    () => wholeStream().bodies.slice(0, 7),
    { ...TRUSTED, expect: { to: 6 } },
    'expected',
    ['unsigned 6-6'],
  ],
  [
    'asked for, but not here',
    () => wholeStream().bodies,
    { ...TRUSTED, expect: { to: 12 } },
    'expected',
    ['missing 11-12'],
  ],
];

for (const [name, bodies, options, end, findings] of ends) {
  test(`end of a stream: ${name}`, () => {
    const report = verify(bodies(), options);
    assert.deepEqual([report.streams[0]?.end, told(report)], [end, findings]);
  });
}

test('a successor ends a stream; what lies behind is void', () => {
  const dead = new Scene(1).start().calls(3).checkpoint();
  const successor = new Scene(2, { previousHash: dead.place(5).hash }).start();
  successor.checkpoint(dead.place(5)).stop();
  const report = verify([...dead.bodies, ...successor.bodies]);
  assert.deepEqual([told(report), report.streams[0]?.end], [[], 'successor']);
  const behind = [...dead.calls(2).bodies, ...successor.bodies];
  assert.deepEqual(told(verify(behind)), ['beyond_end 6-7', 'unsigned 6-7']);
});

for (const [name, adopted] of [
  ['by its end', (dead: Scene) => [adoptionText(dead.last)]],
  ['by its id, and signs its end', (dead: Scene) => [dead.stream]],
] as const) {
  test(`who adopts a stream ${name} proves that end`, () => {
    const dead = new Scene(1).start().calls(3);
    const adopter = new Scene(2).start().lifecycle('start', { 'verdict.lifecycle.adopted': adopted(dead) });
    adopter.checkpoint(dead.last).stop();
    const report = verify([...dead.bodies, ...adopter.bodies]);
    assert.deepEqual([told(report), report.streams[0]?.end], [[], 'adopted']);
    const short = [...dead.bodies.slice(0, 3), ...adopter.bodies];
    assert.deepEqual(told(verify(short)), ['missing 4-4', 'unsigned 1-3']);
    assert.deepEqual(told(verify(adopter.bodies)), ['absent 1-4']);
  });
}

test('a beginning that is not here is missing, unless it is not asked for', () => {
  const { bodies } = wholeStream();
  assert.deepEqual(told(verify(bodies.slice(3))), ['missing 1-3']);
  assert.deepEqual(told(verify(bodies.slice(3), { ...TRUSTED, expect: { from: 4 } })), []);
  assert.deepEqual(told(verify(bodies.slice(3), { ...TRUSTED, expect: { from: 'any' } })), []);
  assert.deepEqual(told(verify(bodies.slice(3), { ...TRUSTED, expect: { from: 3 } })), ['missing 3-3']);
});

test('a gap record explains a hole, and does not close it', () => {
  const scene = new Scene(1).start().calls(3);
  scene.record('verdict.gap', {
    'verdict.gap.stream': scene.stream,
    'verdict.gap.from': 3,
    'verdict.gap.to': 3,
    'verdict.gap.reason': 'dead_letter',
    'verdict.gap.exporter': 'otlp',
  });
  scene.stop();
  assert.deepEqual(told(verify(scene.bodies)), []);
  const report = verify(scene.bodies.filter((_, at) => at !== 2));
  assert.deepEqual(told(report), ['missing 3-3', 'unsigned 1-2']);
  assert.match(
    report.findings.map(({ text }) => text).join(),
    /record 5 of .* tells of the loss of 3: dead_letter \(otlp\)/,
  );
});

test('a destination that gets only some kinds is named as such', () => {
  const scene = new Scene(1).start();
  for (let round = 0; round < 2 * FINDINGS_MAX; round += 1) scene.calls(1).checkpoint();
  const report = verify(scene.stop().bodies.filter((body) => body.includes('"verdict.decision"')));
  assert.ok(told(report).includes('filtered'));
  assert.match(
    report.findings.find(({ kind }) => kind === 'filtered')?.text ?? '',
    /^only verdict\.decision of severity 9/,
  );
  assert.equal(report.findings.filter(({ kind }) => kind === 'missing').length, FINDINGS_MAX);
  assert.ok(report.more > 0);
});
