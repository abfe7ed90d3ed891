import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findLosses, type LossOptions } from '../../../src/service/doctor/losses.ts';

const HOUR_MS = 3_600_000;

const SOUND: LossOptions = {
  spool: { durability: 'sync', directory: '/s', bytesMax: 10 * 1024 ** 3, keepMs: 72 * HOUR_MS },
  exporters: [{ name: 'otlp', required: true }],
  onAuditFailure: 'deny',
  bytesPerSecond: undefined,
};

const spool = (changes: Partial<LossOptions['spool']>): Partial<LossOptions> => ({
  spool: { ...SOUND.spool, ...changes },
});

const cases: readonly [what: string, changes: Partial<LossOptions>, warned: readonly RegExp[]][] = [
  ['a sound set-up', {}, []],
  ['a rate that fits', { bytesPerSecond: 1000 }, []],
  ['durability os', spool({ durability: 'os' }), [/durability is os: a power cut/]],
  ['durability none', spool({ durability: 'none' }), [/durability is none/]],
  [
    'durability none and no exporter',
    { ...spool({ durability: 'none' }), exporters: [] },
    [/durability is none/, /records are kept nowhere/],
  ],
  ['no exporter', { exporters: [] }, [/there is no exporter: at 10 GiB .* the oldest records go/]],
  [
    'no exporter that is required',
    { exporters: [{ name: 'otlp', required: false }] },
    [/no exporter is required: at 10 GiB/],
  ],
  ['nothing kept', spool({ keepMs: 0 }), [/records go at once when they are acknowledged/]],
  ['little kept', spool({ keepMs: HOUR_MS }), [/records go after 1\.0 h when/]],
  ['a day kept', spool({ keepMs: 24 * HOUR_MS }), []],
  [
    'a spool that one night fills',
    { bytesPerSecond: 10 * 1024 ** 2 },
    [/at the rate so far \(35 GiB an hour\) spool\.max_bytes holds records for 17 min/],
  ],
  [
    'a spool that is full before its records are old',
    { bytesPerSecond: (10 * 1024 ** 3) / (61 * 3600) },
    [/holds records for 2\.5 d.* before spool\.keep \(3\.0 d\) is over/],
  ],
  ['calls without records', { onAuditFailure: 'allow' }, [/on_audit_failure is allow/]],
];

for (const [what, changes, warned] of cases) {
  test(`${what}: ${warned.length === 0 ? 'nothing to warn of' : 'what is lost is named'}`, () => {
    const findings = findLosses({ ...SOUND, ...changes });
    const warnings = findings.filter(({ level }) => level === 'warn');
    assert.equal(warnings.length, warned.length, JSON.stringify(findings));
    for (const [index, expected] of warned.entries()) {
      const { found = '', advice = '' } = warnings[index] ?? {};
      assert.match(`${found}. ${advice}`, expected);
    }
    const isQuiet = findings.some(({ found }) => found.startsWith('nothing between a call'));
    assert.equal(isQuiet, warned.length === 0);
  });
}
