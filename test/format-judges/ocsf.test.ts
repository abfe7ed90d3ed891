/** OCSF as its own schema, 1.8.0, has it: every class with the profiles that an event declares, and every caption. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv';
import fc from 'fast-check';
import { ocsfFormat } from '../../src/format/ocsf.ts';
import { hostileRecord } from '../format/hostile-records.ts';
import { RECORDS } from '../format/samples.ts';
import { skipWithoutPython } from '../support/python-environment.ts';
import { runPython } from '../support/python-judges.ts';

const HOSTILE = 500;
const skip = skipWithoutPython();

interface Ocsf {
  readonly class_uid: number;
  readonly metadata: { readonly profiles: readonly string[] };
  readonly [key: string]: unknown;
}

interface Judge {
  readonly validate: ValidateFunction;
  readonly captions: Readonly<Record<string, [sibling: string, captions: Readonly<Record<string, string>>]>>;
}

const encode = (record: Parameters<typeof ocsfFormat.encode>[0]): Ocsf =>
  JSON.parse(ocsfFormat.encode(record)) as Ocsf;

const golden = RECORDS.map(({ name, record }) => ({ name, event: encode(record) }));
const hostile = fc.sample(hostileRecord, HOSTILE).map(encode);

const kindOf = ({ class_uid: uid, metadata }: Ocsf): string => `${uid} ${metadata.profiles.join(',')}`;
const judges = new Map<string, Judge>();

before(() => {
  if (skip !== false) return;
  const kinds = [...new Set([...golden.map(({ event }) => event), ...hostile].map(kindOf))];
  const output = runPython(new URL('ocsf_schemas.py', import.meta.url), `${kinds.join('\n')}\n`);
  for (const [index, line] of output.trimEnd().split('\n').entries()) {
    const { schema, captions } = JSON.parse(line) as { schema: object; captions: Judge['captions'] };
    // The schema has annotations that JSON Schema does not know, and regular expressions that are not Unicode's.
    const ajv = new Ajv2020({ strict: false, allErrors: true, unicodeRegExp: false });
    judges.set(kinds[index] ?? '', { validate: ajv.compile(schema), captions });
  }
});

/** What the schema has against an event. */
function faults(event: Ocsf): string[] {
  const judge = judges.get(kindOf(event));
  assert.ok(judge, kindOf(event));
  judge.validate(event);
  const found = (judge.validate.errors ?? []).map(
    ({ instancePath, message }) => `${instancePath} ${message}`,
  );
  for (const [key, [sibling, captions]] of Object.entries(judge.captions)) {
    const id = String(event[key]);
    // 99 is "other", whose caption is the source's own.
    if (key in event && id !== '99' && event[sibling] !== captions[id])
      found.push(`${sibling} is not ${captions[id]}`);
  }
  return found;
}

describe('the schema of OCSF 1.8.0', { skip }, () => {
  for (const { name, event } of golden) {
    test(`has nothing against the golden event: ${name}`, () => assert.deepEqual(faults(event), []));
  }

  test('has nothing against what an attacker or a later version records', () => {
    for (const event of hostile) assert.deepEqual(faults(event), []);
  });

  test('refuses what is wrong, so that its silence means something', () => {
    const [first, decision] = golden.map(({ event }) => event);
    assert.ok(first && decision);
    for (const [wrong, fault] of [
      [{ ...decision, action_id: 7 }, /action_id must be equal/],
      [{ ...decision, action: 'Permitted' }, /action is not Allowed/],
      [{ ...decision, type_uid: '600399' }, /type_uid must be integer/],
      [{ ...decision, verdict: 'allow' }, /must NOT have additional properties/],
      [{ ...decision, src_endpoint: {} }, /src_endpoint must/],
      [{ ...first, app: undefined }, /must have required property 'app'/],
    ] as const) {
      const event = JSON.parse(JSON.stringify(wrong)) as Ocsf;
      assert.match(faults(event).join('\n'), fault);
    }
  });
});
