/** CEF as parsers read it that nobody here wrote: cefp (Python), nsyslog-parser (JavaScript), rsyslog's liblognorm (C). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { cefFormat } from '../../src/format/cef.ts';
import type { FormattedRecord } from '../../src/format/record.ts';
import { parseCef } from '../format/cef-parser.ts';
import { hostileRecord } from '../format/hostile-records.ts';
import { chainOf, NASTY, RECORDS } from '../format/samples.ts';
import { findDebianPrograms, skipWithoutDebian } from '../support/debian-programs.ts';
import { skipWithoutPython } from '../support/python-environment.ts';
import { runPython } from '../support/python-judges.ts';

const HOSTILE = 500;
const big = NASTY.repeat(2 ** 20 / NASTY.length);

const records: readonly FormattedRecord[] = [
  ...RECORDS.map(({ record }) => record),
  ...fc.sample(hostileRecord, HOSTILE),
  ...['gen_ai.tool.name', 'gen_ai.tool.call.arguments', 'user.id', 'verdict.decision.message'].flatMap(
    (key) =>
      chainOf([{ name: key, eventName: 'verdict.decision', severity: 13, attributes: { [key]: big } }]).map(
        ({ record }) => record,
      ),
  ),
];
const lines = records.map((record) => cefFormat.encode(record));

interface Cefp {
  readonly version: string;
  readonly device: Readonly<Record<'vendor' | 'product' | 'version' | 'event_class_id', string>>;
  readonly name: string;
  readonly severity: string;
  readonly extension: Readonly<Record<string, string>>;
}

test(
  'cefp reads each line as one record with the values that were meant',
  { skip: skipWithoutPython() },
  () => {
    const script = new URL('cef_lines.py', import.meta.url);
    const output = runPython(script, `${lines.join('\n')}\n`)
      .trimEnd()
      .split('\n');
    assert.equal(output.length, lines.length);
    for (const [index, line] of lines.entries()) {
      const { version, vendor, product, productVersion, classId, name, severity, values } = parseCef(line);
      assert.deepEqual(JSON.parse(output[index] ?? '') as Cefp, {
        version,
        device: { vendor, product, version: productVersion, event_class_id: classId },
        name,
        severity: String(severity),
        extension: Object.fromEntries(values),
      });
    }
  },
);

interface Syslog {
  readonly type: string;
  readonly cef: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
}

const parseSyslog = createRequire(import.meta.url)('nsyslog-parser') as (line: string) => Syslog;

/**
 * It knows no escape: it gives values as they are written, and takes each word with an equals sign in it, escaped or
 * not, for a pair. So what an attacker writes makes pairs there, and what is held here is that their keys are none that
 * we or a SIEM know: each ends in the backslash.
 */
test('nsyslog-parser reads each line as one record, and no value makes a pair under a key that means something', () => {
  for (const line of lines) {
    const { type, cef, fields } = parseSyslog(line);
    const { classId, severity, written } = parseCef(line);
    assert.deepEqual([type, cef['severity']], ['CEF', String(severity)]);
    if (!/[\\|]/.test(classId)) assert.equal(cef['deviceEventClassID'], classId);
    assert.deepEqual(
      Object.keys(fields).filter((key) => !key.endsWith('\\')),
      [...written.keys()],
    );
    for (const [key, value] of written) if (!value.includes('=')) assert.equal(fields[key], value, key);
  }
});

/** Bytes of a line that the command line of liblognorm reads at once. */
const LOGNORMALIZER_LINE_MAX = 10_000;

interface Lognorm {
  readonly f: {
    readonly SignatureID: string;
    readonly Name: string;
    readonly Severity: string;
    readonly Extensions: Readonly<Record<string, string>>;
  };
}

/** To 2.0.6 it drops the first letter of the first key (rsyslog/liblognorm issue 363). */
const FIRST_KEYS = ['cat', 'at'];

test("rsyslog's parser reads each line as the values that were meant", { skip: skipWithoutDebian() }, (t) => {
  const packages = ['liblognorm-utils', 'liblognorm5', 'libestr0', 'libfastjson4'];
  const { root, env } = findDebianPrograms(packages);
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-lognorm-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'cef.rb'), 'version=2\nrule=:%f:cef%\n');
  const short = lines.filter((line) => Buffer.byteLength(line) < LOGNORMALIZER_LINE_MAX);
  assert.ok(short.length > HOSTILE / 2);
  const { status, stdout, stderr } = spawnSync(
    join(root, 'usr/bin/lognormalizer'),
    ['-r', join(dir, 'cef.rb'), '-e', 'json'],
    { input: `${short.join('\n')}\n`, env, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 },
  );
  assert.equal(status, 0, stderr);
  const output = stdout.trimEnd().split('\n');
  assert.equal(output.length, short.length);
  for (const [index, line] of short.entries()) {
    const { classId, name, severity, values } = parseCef(line);
    const { f: read } = JSON.parse(output[index] ?? '') as Lognorm;
    assert.deepEqual([read.SignatureID, read.Name, read.Severity], [classId, name, String(severity)]);
    const [[first, category] = ['', ''], ...others] = Object.entries(read.Extensions);
    assert.ok(FIRST_KEYS.includes(first), first);
    assert.deepEqual(Object.fromEntries([['cat', category], ...others]), Object.fromEntries(values));
  }
});
