import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  CHECKS,
  doctorReport,
  exitOf,
  findingLine,
  summaryLine,
  type Finding,
} from '../../../src/service/doctor/finding.ts';

const FINDINGS: readonly Finding[] = [
  { check: 'config', subject: 'verdict.yaml', level: 'ok', found: 'good, 2 servers' },
  { check: 'spool', level: 'warn', found: 'the disk is slow', facts: { sync_median_ms: 41.5 } },
  {
    check: 'endpoint',
    subject: 'otlp',
    level: 'fail',
    found: 'nothing listens',
    advice: 'Start it',
    exit: 4,
  },
  { check: 'upstream', subject: 'files', level: 'fail', found: 'no MCP endpoint' },
];

test('the report for programs is the golden one', () => {
  const golden = new URL('../../golden/doctor.json', import.meta.url);
  const text = `${JSON.stringify(doctorReport(FINDINGS), undefined, 2)}\n`;
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
  assert.equal(text, readFileSync(golden, 'utf8'));
});

test('people get one line a finding, whatever is in it, and a last one', () => {
  assert.deepEqual(FINDINGS.map(findingLine), [
    'ok    config     verdict.yaml: good, 2 servers',
    'warn  spool      the disk is slow',
    'fail  endpoint   otlp: nothing listens. Start it',
    'fail  upstream   files: no MCP endpoint',
  ]);
  assert.equal(summaryLine(FINDINGS), '2 FAILED, 1 to look at, 1 good.');
  assert.equal(summaryLine(FINDINGS.slice(0, 2)), 'No failure, 1 to look at, 1 good.');
  assert.equal(findingLine({ check: 'keys', level: 'ok', found: 'a\n  b' }), 'ok    keys       a; b');
  assert.ok(CHECKS.every((check) => findingLine({ check, level: 'ok', found: 'x' }).length === 18));
});

describe('the exit code', () => {
  const failures = (...exits: (1 | 3 | 4 | undefined)[]): Finding[] =>
    exits.map((exit) => ({ check: 'policy', level: 'fail', found: '', exit }));

  test('is 0 while nothing fails, whatever is to look at', () => {
    assert.equal(exitOf([]), 0);
    assert.equal(exitOf(FINDINGS.slice(0, 2)), 0);
    // What a warning would exit with does not count.
    assert.equal(exitOf([{ check: 'keys', level: 'warn', found: '', exit: 3 }]), 0);
  });

  test('is that of the failure which waiting does not mend', () => {
    assert.equal(exitOf(failures(4)), 4);
    assert.equal(exitOf(failures(4, undefined)), 1);
    assert.equal(exitOf(failures(undefined, 4, 3)), 3);
  });
});
