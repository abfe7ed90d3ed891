import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { formatFault } from '../../src/document.ts';
import { loadPolicy, RULES_DEFAULT, RULES_MAX } from '../../src/policy/load.ts';
import { policyOf, policyText } from './support.ts';

const BROKEN = new URL('broken/', import.meta.url);

/** What each file of broken/ has to be told, without the file's name. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'unknown-keys.yaml': [
    '6:5 unknown key efect; did you mean effect?',
    '9:5 unknown key wehn; did you mean when?',
    '10:1 unknown key retention; the keys here are apiVersion, kind, metadata, identities, rules',
  ],
  'missing-keys.yaml': [
    '1:1 the key apiVersion is missing',
    '3:3 the key name is missing',
    '5:5 the key id is missing',
  ],
  'wrong-values.yaml': [
    '1:13 must be mcp-verdict/v1',
    '4:9 must be a letter, then at most 63 letters, digits, dots, dashes or underscores',
    '5:12 must be a string, not a number: put it in quotes',
    '8:13 must be one of allow, deny, require_approval',
    '9:12 must be a list, not a string',
    '10:11 must be a string, not true: put it in quotes',
    '12:13 must be one of allow, deny, require_approval; did you mean allow?',
    '13:12 must not be empty',
    '14:16 must be one of none, keys, redacted, full; did you mean none?',
  ],
  'duplicate-key.yaml': ['8:5 the key effect stands twice in one mapping'],
  'tab-indent.yaml': ['5:1 not valid YAML: Tabs are not allowed as indentation'],
  'unclosed.yaml': [
    '8:3 not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  'custom-tag.yaml': ['4:8 the tag !include is not accepted'],
  'two-documents.yaml': ['5:1 only one YAML document may stand in a file'],
  'groups.yaml': [
    '5:25 must be exactly one of api_key, agent, user, role',
    '6:3 must be a letter, then at most 63 letters, digits, dots, dashes or underscores',
    '7:14 must not be empty',
    '8:19 unknown key team; the keys here are api_key, agent, user, role',
  ],
  'group-names.yaml': [
    '6:3 anonymous is built in; give the group another name',
    '10:33 unknown group payment-bots; did you mean payments-bots?',
    '15:9 unknown group contractors; the groups here are payments-bots, anonymous, authenticated',
  ],
  'targets.yaml': [
    '5:5 rule both names both tools and methods; split it in two',
    '9:5 rule neither names neither tools nor methods',
    '14:14 servers goes with methods only; a tool is named SERVER/TOOL',
    '18:9 a tool is named SERVER/TOOL, for example files/read_file',
    '19:9 a tool is named SERVER/TOOL, for example files/read_file',
  ],
  'style.yaml': ['13:12 must be one of explained, hidden; did you mean hidden?'],
  'style-of-allow.yaml': [
    '8:12 style says how a denial is told, so it goes with effect: deny only',
    '9:65 style says how a denial is told, so it goes with effect: deny only',
  ],
  'duplicate-id.yaml': ['9:9 the rule id a is taken, at duplicate-id.yaml:5'],
  'cel-syntax.yaml': [
    '8:23 not valid CEL: "<" was not expected here',
    '12:12 not valid CEL: it ends too early here',
    '16:35 not valid CEL: "a" was not expected here',
    '20:36 not valid CEL: ")" was not expected here',
  ],
  'cel-names.yaml': [
    '10:10 unknown variable identiy; did you mean identity?',
    '12:15 unknown member nmae; did you mean name?',
    '19:9 unknown function startsWiht; did you mean startsWith?',
    '24:18 unknown member methd; did you mean method?',
    '29:10 unknown variable foo; the variables are args, tool, server, identity, request, now',
  ],
  'cel-rules.yaml': [
    '8:29 not a valid RE2 pattern: error parsing regexp: missing closing ): `(`',
    '8:47 the pattern of matches must be a literal, so that no caller can choose it',
    '12:29 not a valid RE2 pattern: error parsing regexp: invalid or unsupported Perl syntax: `(?=`',
    '16:25 the number is out of the range of 64 bits',
    '20:12 the condition is never true or false',
    '24:11 has is not used as it should be: has(args.member)',
    '24:35 all is not used as it should be: list.all(x, condition)',
    '24:39 unknown variable i; the variables are args, tool, server, identity, request, now',
    '28:21 startsWith is called with the wrong number of arguments, or not on a value',
  ],
};

describe('a broken policy file is told every fault where it stands', () => {
  test('each file of broken/ is expected here', () => {
    assert.deepEqual(readdirSync(BROKEN).toSorted(), Object.keys(EXPECTED).toSorted());
  });

  for (const [file, faults] of Object.entries(EXPECTED)) {
    test(file, () => {
      const loaded = loadPolicy([{ file, text: readFileSync(new URL(file, BROKEN), 'utf8') }]);
      assert.deepEqual(
        loaded.ok ? [] : loaded.faults.map(formatFault),
        faults.map((fault) => `${file}:${fault}`),
      );
    });
  }

  test('the faults of all files come together, in the order of the files', () => {
    const loaded = loadPolicy([
      { file: 'z.yaml', text: policyText('  - {id: a, effect: deny, tools: ["a/b"]}\n') },
      { file: 'y.yaml', text: '' },
      { file: 'a.yaml', text: policyText('  - {id: a, effect: deny, tools: ["a/b"], when: foo}\n') },
    ]);
    assert.deepEqual(loaded.ok ? [] : loaded.faults.map(formatFault), [
      'y.yaml:1:1 the file is empty',
      'a.yaml:5:10 the rule id a is taken, at z.yaml:5',
      'a.yaml:5:49 unknown variable foo; the variables are args, tool, server, identity, request, now',
    ]);
  });

  test('a condition over its length is refused, one at it is not', () => {
    const text = (length: number): string =>
      policyText(`  - {id: a, effect: deny, tools: ["a/b"], when: "'${'x'.repeat(length - 8)}' != ''"}\n`);
    assert.equal(loadPolicy([{ file: 'f', text: text(4096) }]).ok, true);
    const over = loadPolicy([{ file: 'f', text: text(4097) }]);
    assert.deepEqual(over.ok ? [] : over.faults.map(formatFault), [
      'f:5:50 the condition is longer than 4096 characters',
    ]);
  });

  test('a condition nested without end is a fault, not a crash', () => {
    const when = `${'('.repeat(2000)}true${')'.repeat(2000)}`;
    const loaded = loadPolicy([
      { file: 'f', text: policyText(`  - {id: a, effect: deny, tools: ["a/b"], when: "${when}"}\n`) },
    ]);
    if (!loaded.ok)
      assert.deepEqual(loaded.faults.map(formatFault), ['f:5:50 the condition is nested too deeply']);
  });
});

describe('a good policy file', () => {
  test('may have no rules, which denies everything', () => {
    assert.deepEqual(policyOf(policyText('').replace('rules:\n', 'rules: []\n')).rules, []);
  });

  test('may be JSON', () => {
    const text = JSON.stringify({
      apiVersion: 'mcp-verdict/v1',
      kind: 'Policy',
      metadata: { name: 'j' },
      rules: [],
    });
    assert.equal(loadPolicy([{ file: 'f.json', text }]).ok, true);
  });

  test('gives a rule the defaults that the design names', () => {
    const [rule] = policyOf(policyText('  - {id: a, effect: allow, methods: ["resources/*"]}\n')).rules;
    assert.deepEqual(rule, {
      id: 'a',
      effect: 'allow',
      identities: [{ name: 'authenticated', members: 'authenticated' }],
      target: { kind: 'methods', methods: ['resources/*'], servers: ['*'] },
      when: undefined,
      style: undefined,
      reason: undefined,
      arguments: 'redacted',
      policy: { name: 'test', file: '0.yaml', version: undefined },
    });
  });

  test('knows a group in its own file only', () => {
    const groups = 'identities: {ops: {any: [{role: ops}]}}\n';
    const loaded = loadPolicy([
      {
        file: 'a',
        text: policyText('  - {id: a, effect: allow, identities: [ops], tools: ["a/b"]}\n', groups),
      },
      { file: 'b', text: policyText('  - {id: b, effect: allow, identities: [ops], tools: ["a/b"]}\n') },
    ]);
    assert.deepEqual(loaded.ok ? [] : loaded.faults.map(({ file }) => file), ['b']);
  });

  test('has at most so many rules, over all files', () => {
    const sources = ['a', 'b', 'c'].map((id) => ({
      file: id,
      text: policyText(`  - {id: ${id}, effect: deny, tools: ["a/b"]}\n`),
    }));
    assert.equal(loadPolicy(sources, { rulesMax: 3 }).ok, true);
    const over = loadPolicy(sources, { rulesMax: 2 });
    assert.deepEqual(over.ok ? [] : over.faults.map(formatFault), ['c:5:10 there are more than 2 rules']);
    assert.deepEqual([RULES_DEFAULT, RULES_MAX], [10_000, 100_000]);
  });
});

describe('the digest', () => {
  const a = policyText(
    '  - {id: a, effect: deny, tools: ["a/b"], reason: "No."}\n  - {id: b, effect: allow, tools: ["a/*"]}\n',
  );
  const c = policyText('  - {id: c, effect: deny, tools: ["c/d"]}\n');

  test('does not see order, comments and layout', () => {
    const same = `# a comment
rules:
  - effect: allow
    tools:
      - a/*
    id: b
  - {reason: No., tools: [a/b], id: a, effect: deny}
kind: Policy
metadata: {name: "test"}
apiVersion: mcp-verdict/v1
`;
    assert.equal(policyOf(a, c).digest, policyOf(c, same).digest);
    assert.match(policyOf(a).digest, /^sha256:[0-9a-f]{64}$/);
  });

  test('sees each change of what is in force', () => {
    const digests = [a, a.replace('deny', 'allow'), a.replace('No.', 'No!'), a.replace('a/b', 'a/c'), c].map(
      (text) => policyOf(text).digest,
    );
    assert.equal(new Set([...digests, policyOf(a, c).digest]).size, 6);
  });
});
