/** What somebody who can write where the records lie may try, and what the report must say of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyHash } from '../../src/event/stamp.ts';
import type { VerifierOptions } from '../../src/event/verify.ts';
import {
  edit,
  KEY,
  newKey,
  publicOf,
  rechain,
  Scene,
  START_MS,
  streamId,
  told,
  TRUSTED,
  verify,
  wholeStream,
} from './verify-scene.ts';

interface Attack {
  readonly name: string;
  readonly bodies: () => readonly string[];
  readonly options?: VerifierOptions;
  readonly findings: readonly string[];
}

const SEQUENCE = 'verdict.stream.sequence';
const CHECKPOINT = 'verdict.checkpoint';

const whole = wholeStream().bodies;
const at = (sequence: number, bodies: readonly string[] = whole): string => bodies[sequence - 1] ?? '';
const without = (...sequences: number[]): string[] =>
  whole.filter((_, index) => !sequences.includes(index + 1));
const replaced = (sequence: number, body: string): string[] => whole.with(sequence - 1, body);
const lie = { 'verdict.decision.effect': 'deny' };
/** Numbers, hashes and checkpoints' statements as they should be; only the signatures cannot be made. */
const renumbered = (bodies: readonly string[]): string[] => {
  const hashes: string[] = [];
  return rechain(bodies, (members, index) => {
    members[SEQUENCE] = index + 1;
    members['verdict.checkpoint.sequence'] &&= index;
  }).map((body) => (hashes.push(bodyHash(body)), body));
};

const attacks: Attack[] = [
  {
    name: 'edit one record',
    bodies: () => replaced(3, edit(at(3), lie)),
    findings: ['changed 3-3', 'unsigned 1-3'],
  },
  {
    name: 'edit a signed record, so that its successor is beyond suspicion',
    bodies: () => replaced(4, edit(at(4), lie)),
    findings: ['changed 4-4', 'contradicted 4-4', 'unsigned 1-4'],
  },
  {
    name: 'edit what a record cites',
    bodies: () => replaced(5, edit(at(5), { 'verdict.stream.previous_hash': 'ab'.repeat(32) })),
    findings: ['changed 5-5', 'changed 5-5'],
  },
  {
    name: 'edit, and compute every hash after it anew',
    bodies: () => rechain(whole, (members, index) => void (index === 2 && Object.assign(members, lie))),
    findings: ['contradicted 4-4', 'contradicted 9-9', 'unsigned 1-10'],
  },
  {
    name: 'the same without a key given: the checkpoints still contradict',
    bodies: () => rechain(whole, (members, index) => void (index === 2 && Object.assign(members, lie))),
    options: {},
    findings: ['contradicted 4-4', 'contradicted 9-9'],
  },
  {
    name: 'edit, compute anew, and put the new hashes into the checkpoints',
    bodies: () => {
      let previous = '';
      return rechain(whole, (members, index) => {
        if (index === 2) Object.assign(members, lie);
        if (members['event.name'] === CHECKPOINT) members['verdict.checkpoint.hash'] = previous;
        previous = '';
      });
    },
    findings: ['bad_signature 4-4', 'bad_signature 9-9', 'unsigned 1-10'],
  },
  {
    name: 'edit after the last checkpoint, and compute anew',
    bodies: () =>
      rechain(without(9, 10), (members, index) => void (index === 6 && Object.assign(members, lie))),
    findings: ['no_end 8-8', 'unsigned 6-8'],
  },
  { name: 'cut off the end', bodies: () => whole.slice(0, 7), findings: ['no_end 7-7', 'unsigned 6-7'] },
  {
    name: 'cut off the end right behind a checkpoint',
    bodies: () => whole.slice(0, 5),
    findings: ['no_end 5-5'],
  },
  {
    name: 'cut off the end, and set the time of the last checkpoint to now',
    bodies: () => [...whole.slice(0, 4), edit(at(5), { 'verdict.time': '2026-11-22T12:00:00.000000000Z' })],
    options: { ...TRUSTED, nowMs: START_MS + 3 * 3_600_000 },
    findings: ['no_end 5-5'],
  },
  {
    name: 'cut off the end, and put a stop there',
    bodies: () => new Scene(1).start().calls(3).checkpoint().lifecycle('stop').bodies,
    findings: ['unsigned 6-6'],
  },
  {
    name: 'cut off the end, and put a stop dressed as a checkpoint there',
    bodies: () => {
      const { bodies } = new Scene(1).start().calls(3).checkpoint().lifecycle('stop');
      return [
        ...bodies,
        edit(at(5), { [SEQUENCE]: 7, 'verdict.stream.previous_hash': bodyHash(at(6, bodies)) }),
      ];
    },
    findings: ['uid_reused 5-5', 'uid_reused 7-7', 'unsigned 6-6'],
  },
  { name: 'drop one record', bodies: () => without(6), findings: ['missing 6-6'] },
  {
    name: 'drop two stretches',
    bodies: () => without(3, 7, 8),
    findings: ['missing 3-3', 'missing 7-8', 'unsigned 1-2', 'unsigned 6-6'],
  },
  { name: 'drop the beginning', bodies: () => whole.slice(4), findings: ['missing 1-4'] },
  {
    name: 'drop one record and number the rest anew',
    bodies: () => rechain(without(3), (members, index) => void (members[SEQUENCE] = index + 1)),
    findings: ['contradicted 4-4', 'contradicted 9-9', 'unsigned 1-9'],
  },
  {
    name: 'remove the checkpoints, and number the rest anew',
    bodies: () => renumbered(without(5, 10)),
    findings: ['unsigned 1-8'],
  },
  {
    name: 'insert a record',
    bodies: () =>
      renumbered([...whole.slice(0, 2), edit(at(3), { 'log.record.uid': 'new' }), ...whole.slice(2)]),
    findings: ['bad_signature 10-10', 'bad_signature 5-5', 'unsigned 1-11'],
  },
  {
    name: 'insert a record a second time',
    bodies: () => renumbered([...whole.slice(0, 8), at(3), ...whole.slice(8)]).slice(0, 9),
    options: { ...TRUSTED, expect: { to: 9 } },
    findings: ['uid_reused 3-3', 'uid_reused 9-9', 'unsigned 6-9'],
  },
  {
    name: 'append a record behind the stop',
    bodies: () => new Scene(1).start().stop().calls(1).bodies,
    findings: ['beyond_end 4-4', 'unsigned 4-4'],
  },
  {
    name: 'swap two records',
    bodies: () => [...without(3, 4), edit(at(3), { [SEQUENCE]: 4 }), edit(at(4), { [SEQUENCE]: 3 })],
    findings: ['changed 2-2', 'changed 3-3', 'changed 4-4', 'contradicted 4-4', 'unsigned 1-4'],
  },
  {
    name: 'put a second record beside one of the same sequence',
    bodies: () => [edit(at(3), lie), ...whole],
    findings: ['conflicting 3-3'],
  },
  {
    name: 'put a second record beside one that is signed',
    bodies: () => [edit(at(9), lie), ...whole],
    findings: ['conflicting 9-9'],
  },
  {
    name: 'fork the whole stream',
    bodies: () => [
      ...rechain(whole, (members) => void Object.assign(members, { 'service.name': 'x' })),
      ...whole,
    ],
    findings: Array.from({ length: 10 }, (_, index) => `conflicting ${index + 1}-${index + 1}`),
  },
  {
    name: 'swap bodies between streams',
    bodies: () => {
      const other = wholeStream(2).bodies;
      const move = (body: string, index: number) => edit(body, { 'verdict.stream.id': streamId(index) });
      return [
        ...without(3),
        ...other.filter((_, index) => index !== 2),
        move(at(3), 2),
        move(at(3, other), 1),
      ];
    },
    findings: ['changed 2-2', 'changed 2-2', 'changed 3-3', 'changed 3-3', 'unsigned 1-3', 'unsigned 1-3'],
  },
  {
    name: 'show a checkpoint of another stream instead of one’s own',
    bodies: () => {
      const other = wholeStream(2);
      return new Scene(1)
        .start()
        .calls(3)
        .checkpoint(other.last)
        .lifecycle('stop')
        .bodies.concat(other.bodies);
    },
    findings: ['unsigned 1-6'],
  },
  {
    name: 'sign with another key under the name of the right one',
    bodies: () =>
      rechain(wholeStream(1, { key: newKey() }).bodies, (members) => {
        if (members['event.name'] === CHECKPOINT) members['verdict.checkpoint.key_id'] = KEY.id;
        delete members['verdict.lifecycle.public_key'];
      }),
    findings: ['bad_signature 4-4', 'bad_signature 9-9', 'unsigned 1-10'],
  },
  {
    name: 'announce and use a key of one’s own',
    bodies: () => wholeStream(1, { key: newKey() }).bodies,
    findings: ['unknown_key', 'unsigned 1-10'],
  },
  {
    name: 'change the key on the way',
    bodies: () => {
      const scene = new Scene(1).start().calls(1).checkpoint();
      const tail = wholeStream(1, { key: newKey() }).bodies.slice(scene.bodies.length);
      return rechain([...scene.bodies, ...tail], () => {});
    },
    options: {},
    findings: ['contradicted 4-4', 'contradicted 9-9', 'key_changed'],
  },
  {
    name: 'write a signature in another spelling',
    bodies: () => {
      const signature = (JSON.parse(at(10)) as Record<string, unknown>)['verdict.checkpoint.signature'];
      return replaced(10, edit(at(10), { 'verdict.checkpoint.signature': `${String(signature)}=` }));
    },
    findings: ['bad_signature 9-9', 'unsigned 6-10'],
  },
  {
    name: 'play an old state of a living stream back',
    bodies: () => new Scene(1).start().calls(3).checkpoint().bodies,
    options: { ...TRUSTED, nowMs: START_MS + 86_400_000 },
    findings: ['no_end 5-5'],
  },
  {
    name: 'drop a stream that another goes on from',
    bodies: () => new Scene(2, { previousHash: wholeStream(1).last.hash }).start().stop().bodies,
    findings: ['predecessor 1-1'],
  },
  {
    name: 'drop a stream that another took over',
    bodies: () =>
      new Scene(2)
        .start()
        .lifecycle('start', { 'verdict.lifecycle.adopted': [streamId(1)] })
        .stop().bodies,
    findings: ['absent'],
  },
  {
    name: 'cut a stream short that another goes on from',
    bodies: () => [
      ...whole.slice(0, 7),
      ...new Scene(2, { previousHash: bodyHash(at(10)) }).start().stop().bodies,
    ],
    findings: ['no_end 7-7', 'predecessor 1-1', 'unsigned 6-7'],
  },
  {
    name: 'cut a stream short and forge its successor, for somebody who asks for that stream only',
    bodies: () => [
      ...whole.slice(0, 5),
      ...new Scene(2, { previousHash: bodyHash(at(5)), key: newKey() }).start().stop().bodies,
    ],
    options: { ...TRUSTED, only: streamId(1) },
    findings: ['unknown_key', 'unsigned 1-1'],
  },
  {
    name: 'put a huge sequence far ahead',
    bodies: () => [...whole, edit(at(9), { [SEQUENCE]: Number.MAX_SAFE_INTEGER, 'log.record.uid': 'x' })],
    findings: [
      `missing 11-${Number.MAX_SAFE_INTEGER - 1}`,
      `unsigned ${Number.MAX_SAFE_INTEGER}-${Number.MAX_SAFE_INTEGER}`,
    ],
  },
  {
    name: 'put records of prototypes in the place of keys',
    bodies: () => replaced(3, at(3).replace('{', '{"__proto__":{"x":1},"constructor":"y",')),
    findings: ['changed 3-3', 'unsigned 1-3'],
  },
];

const doctored = new Scene(2).lifecycle('doctor');

attacks.push(
  {
    name: 'a record of doctor that forges the end of a stream cut short',
    bodies: () => [
      ...whole.slice(0, 4),
      ...new Scene(2).lifecycle('doctor', {
        'verdict.lifecycle.adopted': [`${streamId(1)} 4 ${bodyHash(at(4))}`],
      }).bodies,
    ],
    findings: ['no_end 1-1', 'unsigned 1-1', 'unsigned 1-4'],
  },
  {
    name: 'a record of doctor in the place of a stream that others tell of',
    bodies: () => [
      ...new Scene(1).lifecycle('doctor').bodies,
      ...new Scene(3)
        .start()
        .lifecycle('start', { 'verdict.lifecycle.adopted': [`${streamId(1)} 10 ${bodyHash(at(10))}`] })
        .stop().bodies,
    ],
    findings: ['missing 2-10', 'unsigned 1-1'],
  },
  {
    name: 'a stream that begins as if doctor had sent it',
    bodies: () => new Scene(2).lifecycle('doctor').calls(2).bodies,
    findings: ['no_end 3-3', 'unsigned 1-3'],
  },
  {
    name: 'a record of doctor that is not the one that was sent',
    bodies: () => [...doctored.bodies, edit(doctored.bodies[0] ?? '', { 'service.name': 'x' })],
    findings: ['conflicting 1-1', 'no_end 1-1', 'unsigned 1-1'],
  },
  {
    name: 'a record of doctor that goes on from a stream',
    bodies: () => [
      ...whole.slice(0, 5),
      ...new Scene(2, { previousHash: bodyHash(at(5)) }).lifecycle('doctor').bodies,
    ],
    findings: ['no_end 1-1', 'unsigned 1-1'],
  },
);

for (const { name, bodies, options, findings } of attacks) {
  test(`attack: ${name}`, () => {
    const report = verify(bodies(), options ?? TRUSTED);
    assert.equal(report.ok, false);
    assert.deepEqual(told(report), [...findings].toSorted());
  });
}

test('a rotation that is recorded is none', () => {
  const [old, fresh] = [KEY, newKey()];
  const first = new Scene(1, { key: old }).start().calls(1).checkpoint();
  first.lifecycle('key_rotated', { 'verdict.lifecycle.public_key': fresh.publicKeyText }).stop();
  const keys = { publicKeys: [publicOf(old), publicOf(fresh)] };
  assert.deepEqual(told(verify(first.bodies, keys)), []);
  assert.deepEqual(told(verify(first.bodies, TRUSTED)), ['unknown_key']);
});

test('what an attacker cannot be kept from: undoing what no checkpoint has signed yet, without a key, unseen', () => {
  const honest = new Scene(1).start().calls(3).lifecycle('stop');
  const forged = rechain(
    honest.bodies,
    (members, index) => void (index === 2 && Object.assign(members, lie)),
  );
  const report = verify(forged, {});
  assert.deepEqual([report.ok, report.signatures], [true, 'not_checked']);
  assert.equal(verify(forged).ok, false);
});

test('what doctor sent stands beside the streams: it proves nothing, and nothing is missing of it', () => {
  const sent = [1, 2].flatMap((index) => new Scene(20 + index).lifecycle('doctor').bodies);
  const report = verify([...whole, ...sent, ...sent]);
  assert.deepEqual([report.ok, report.probes, report.records, report.streams.length], [true, 2, 10, 1]);
  assert.deepEqual(told(verify(sent)), ['nothing']);
  const [alone] = verify(sent, { ...TRUSTED, only: streamId(21) }).findings;
  assert.match(alone?.text ?? '', /is the one record that doctor sent/);
});
