import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FINDINGS_MAX, Findings, reportLines } from '../../src/event/verify-report.ts';
import { edit, Scene, streamId, TRUSTED, verify, wholeStream } from './verify-scene.ts';

const whole = wholeStream().bodies;

/** One stream that is good, and one for each of the commonest faults. */
const bodies = [
  ...whole,
  ...whole.slice(2, 4),
  ...wholeStream(2).bodies.filter((_, at) => at !== 2),
  ...wholeStream(3).bodies.slice(0, 7),
  ...wholeStream(4).bodies.map((body, at) => (at === 1 ? edit(body, { 'gen_ai.tool.name': 'x' }) : body)),
  ...new Scene(5).start().calls(2).lifecycle('stop').bodies,
  ...new Scene(6)
    .start()
    .lifecycle('start', { 'verdict.lifecycle.adopted': [streamId(7)] })
    .stop().bodies,
  ...new Scene(8).lifecycle('doctor').bodies,
  'hello',
];

const golden = (name: string): string => readFileSync(new URL(`../golden/${name}`, import.meta.url), 'utf8');

test('the report for people is the golden one', () => {
  assert.equal(`${reportLines(verify(bodies, TRUSTED)).join('\n')}\n`, golden('verify-report.txt'));
});

test('the report for programs is the golden one', () => {
  assert.deepEqual(verify(bodies, TRUSTED), JSON.parse(golden('verify-report.json')));
});

test('of one kind in one stream so many findings are kept, and the rest is counted', () => {
  const findings = new Findings();
  for (let count = 0; count <= FINDINGS_MAX; count += 1)
    findings.add({ kind: 'missing', stream: 'a', text: '' });
  findings.add({ kind: 'missing', stream: 'b', text: '' });
  findings.add({ kind: 'changed', stream: 'a', text: '' });
  assert.deepEqual([findings.kept.length, findings.more], [FINDINGS_MAX + 2, 1]);
  assert.deepEqual(
    ['a', 'b', 'c'].map((stream) => findings.concerns(stream)),
    [true, true, false],
  );
});
