import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatFault } from '../../src/document.ts';
import { lintPolicy, methodFaults } from '../../src/policy/lint.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { policyText } from './support.ts';

const GROUPS = 'identities: {ops: {any: [{role: ops}]}}\n';

function warningsOf(...rules: readonly string[]): string[] {
  const loaded = loadPolicy([
    { file: 'f', text: policyText(rules.map((rule) => `  - {${rule}}\n`).join(''), GROUPS) },
  ]);
  assert.ok(loaded.ok);
  return lintPolicy(loaded.policy, loaded.place).map(formatFault);
}

const ALLOW = 'id: a, effect: allow, tools: ["files/read_*"]';

describe('what is hardly meant is warned of', () => {
  const cases: readonly (readonly [name: string, rules: readonly string[], warnings: readonly string[]])[] = [
    [
      'a path compared by its start',
      [`${ALLOW}, when: "args.path.startsWith('/srv/')"`],
      ['f:6:70 startsWith on a path accepts /srv/../etc; use pathUnder(path, root) instead'],
    ],
    [
      'a URL compared by its start',
      [`${ALLOW}, when: "args.x.startsWith('https://good.example')"`],
      ['f:6:67 startsWith on a URL accepts https://good.example.evil.example; compare urlHost(...) instead'],
    ],
    [
      'a path of tools that may have none',
      [`${ALLOW}, when: "pathUnder(args.path, '/srv') && !pathUnder(args.path, '/srv/x')"`],
      [
        'f:6:60 a call without args.path is denied by this rule, because its condition fails; if that is not ' +
          'meant, write has(args.path) && ...',
      ],
    ],
    [
      'a URL of tools that may have none, guarded by another argument',
      [`${ALLOW}, when: "has(args.path) && urlHost(args.url) == 'a'"`],
      [
        'f:6:78 a call without args.url is denied by this rule, because its condition fails; if that is not ' +
          'meant, write has(args.url) && ...',
      ],
    ],
    [
      'a path that is asked for first',
      [
        `${ALLOW}, when: "has(args.path) && pathUnder(args.path, '/srv')"`,
        `id: b, effect: deny, tools: ["files/*"], when: "'path' in args && pathUnder(args.path, '/srv/b')"`,
      ],
      [],
    ],
    [
      'a path of tools that are named in full',
      [`id: a, effect: allow, tools: ["*/read"], when: "pathUnder(args.path, '/srv')"`],
      [],
    ],
    ['a path of a list', [`${ALLOW}, when: "args.paths.all(p, pathUnder(p, '/srv'))"`], []],
    ['another string compared by its start', [`${ALLOW}, when: "args.name.startsWith('a')"`], []],
    [
      'an allow under a deny',
      [ALLOW, 'id: d, effect: deny, tools: ["files/*"]'],
      ['f:6:10 rule a has no effect: rule d denies all that it is about'],
    ],
    [
      'an allow under a deny of tools/call',
      [ALLOW, 'id: d, effect: deny, methods: ["tools/*"], servers: ["fil*"]'],
      ['f:6:10 rule a has no effect: rule d denies all that it is about'],
    ],
    ['a deny with a condition', [ALLOW, 'id: d, effect: deny, tools: ["files/*"], when: "args.x == 1"'], []],
    ['a narrower deny', [ALLOW, 'id: d, effect: deny, tools: ["files/read_file"]'], []],
    ['a deny for a group', [ALLOW, 'id: d, effect: deny, identities: [ops], tools: ["files/*"]'], []],
    [
      'a deny for the same group',
      [`${ALLOW}, identities: [ops]`, 'id: d, effect: deny, identities: [ops], tools: ["*/*"]'],
      ['f:6:10 rule a has no effect: rule d denies all that it is about'],
    ],
    [
      'a deny that is not for anonymous callers',
      [`${ALLOW}, identities: [anonymous]`, 'id: d, effect: deny, tools: ["*/*"]'],
      [],
    ],
    [
      'an allow of all methods',
      ['id: a, effect: allow, methods: ["*"]'],
      [
        'f:6:37 this allows every tool too, because a glob matches tools/call; name tools in a rule of their own',
      ],
    ],
  ];
  for (const [name, rules, warnings] of cases) {
    test(`${name}: ${warnings.length} warnings`, () => {
      assert.deepEqual(warningsOf(...rules), warnings);
    });
  }
});

describe('a method that does not exist', () => {
  const KNOWN = ['resources/read', 'resources/subscribe', 'tools/call', 'tools/list'];
  const cases: readonly (readonly [methods: string, faults: readonly string[]])[] = [
    ['["resources/read", "tools/*", "*"]', []],
    [
      '["tools/list", "resources/raed"]',
      ['f:5:51 no method is named resources/raed; did you mean resources/read?'],
    ],
    ['["Tools/List"]', ['f:5:37 no method is named Tools/List; did you mean tools/list?']],
    ['["made/up*"]', ['f:5:37 no method is named made/up*']],
  ];
  for (const [methods, faults] of cases) {
    test(`${methods}: ${faults.length} faults`, () => {
      const text = policyText(`  - {id: a, effect: deny, methods: ${methods}}\n`);
      const loaded = loadPolicy([{ file: 'f', text }]);
      assert.ok(loaded.ok);
      assert.deepEqual(methodFaults(loaded.policy, loaded.place, KNOWN).map(formatFault), faults);
    });
  }
});
