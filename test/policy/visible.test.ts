import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ANONYMOUS, type Identity } from '../../src/identity/identity.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { visibleTo, type ItemKind } from '../../src/policy/visible.ts';
import type { PolicyRequest } from '../../src/policy/verdict.ts';
import { runs } from '../support/runs.ts';
import { jsonArgs, NOW, policyOf, policyText, requestOf } from './support.ts';

const ALICE: Identity = { source: 'api_key', keyId: 'k_1', user: 'alice', roles: ['ops'] };

interface Looked {
  readonly identity?: Identity;
  readonly server?: string;
}

/** The names that are shown, of those that a server lists. */
function shown(rules: string, kind: ItemKind, names: readonly string[], looked: Looked = {}): string[] {
  const viewer = {
    identity: ALICE,
    server: 's',
    transport: 'tcp',
    clientAddress: '127.0.0.1',
    ...looked,
  } as const;
  const visible = visibleTo(policyOf(policyText(rules)), viewer, { now: NOW });
  return names.filter((name) => visible(kind, name));
}

const TOOLS = ['read', 'write', 'drop'];

describe('a tool is shown', () => {
  const cases: readonly (readonly [when: string, rules: string, names: readonly string[]])[] = [
    ['where a rule allows it', '  - {id: a, effect: allow, tools: [s/read]}\n', ['read']],
    ['where it needs an approval', '  - {id: a, effect: require_approval, tools: [s/write]}\n', ['write']],
    ['and nothing where there is no rule', '  []\n', []],
    ['but not where another server is meant', '  - {id: a, effect: allow, tools: ["t/*"]}\n', []],
    [
      'but not where a rule denies it too',
      '  - {id: a, effect: allow, tools: ["*/*"]}\n  - {id: b, effect: deny, tools: ["*/dr*"]}\n',
      ['read', 'write'],
    ],
    [
      'but not where all calls are denied',
      '  - {id: a, effect: allow, tools: ["*/*"]}\n  - {id: b, effect: deny, methods: [tools/call]}\n',
      [],
    ],
    [
      'where it is the arguments that decide',
      '  - {id: a, effect: allow, tools: [s/read], when: args.path == "/srv"}\n' +
        '  - {id: b, effect: deny, tools: [s/read], when: "!has(args.path)"}\n',
      ['read'],
    ],
    [
      'but not where the arguments cannot change that it is not allowed',
      '  - {id: a, effect: allow, tools: ["s/*"], when: args.n > 1 && identity.user == "bob"}\n',
      [],
    ],
    [
      'but not where the arguments cannot change that it is denied',
      '  - {id: a, effect: allow, tools: ["s/*"]}\n' +
        '  - {id: b, effect: deny, tools: [s/drop], when: args.force || "ops" in identity.roles}\n',
      ['read', 'write'],
    ],
    [
      'where a condition on its name holds',
      '  - {id: a, effect: allow, tools: ["s/*"], when: tool.name.startsWith("re") && server.name == "s"}\n',
      ['read'],
    ],
    [
      'but not where a condition fails in any case: errors deny',
      '  - {id: a, effect: allow, tools: ["s/*"]}\n' +
        '  - {id: b, effect: allow, tools: [s/read], when: identity.issuer == "x"}\n',
      ['write', 'drop'],
    ],
    [
      'where a condition may fail or not',
      '  - {id: a, effect: allow, tools: ["s/*"], when: args.n + 1 > 2}\n',
      TOOLS,
    ],
    [
      'where it may be called now',
      `  - {id: a, effect: allow, tools: ["s/*"], when: now < timestamp("2026-11-23T00:00:00Z")}\n`,
      TOOLS,
    ],
    [
      'but not where its time has come',
      `  - {id: a, effect: allow, tools: ["s/*"], when: now > timestamp("2026-11-23T00:00:00Z")}\n`,
      [],
    ],
    [
      'where no argument is asked for that is not there',
      '  - {id: a, effect: allow, tools: ["s/*"], when: "!has(args.force)"}\n',
      TOOLS,
    ],
  ];
  for (const [when, rules, names] of cases) {
    test(when, () => {
      assert.deepEqual(shown(rules, 'tool', TOOLS), names);
    });
  }

  test('to those whom the rule is for', () => {
    const rules = '  - {id: a, effect: allow, identities: [anonymous], tools: [s/read]}\n';
    assert.deepEqual(shown(rules, 'tool', TOOLS), []);
    assert.deepEqual(shown(rules, 'tool', TOOLS, { identity: ANONYMOUS }), ['read']);
  });

  test('to credentials that are for it', () => {
    const rules = '  - {id: a, effect: allow, tools: ["*/*"]}\n';
    const identity = { ...ALICE, grants: ['s/wr*', 't/*'] };
    assert.deepEqual(shown(rules, 'tool', TOOLS, { identity }), ['write']);
    assert.deepEqual(shown(rules, 'tool', TOOLS, { identity, server: 't' }), TOOLS);
    assert.deepEqual(shown(rules, 'tool', TOOLS, { identity, server: 'u' }), []);
  });
});

describe('prompts, resources and templates', () => {
  const rules = `  - {id: a, effect: allow, methods: [prompts/get], when: 'request.prompt != "secret" && args.n != 1'}
  - {id: b, effect: allow, methods: [resources/read], when: 'request.uri.startsWith("doc://") && !has(args.x)'}
`;

  test('are shown as getting and reading them is allowed', () => {
    assert.deepEqual(shown(rules, 'prompt', ['secret', 'plain']), ['plain']);
    assert.deepEqual(shown(rules, 'resource', ['doc://a', 'key://a']), ['doc://a']);
  });

  test('a template is shown where some URI may be read', () => {
    assert.deepEqual(shown(rules, 'template', ['key://{x}']), ['key://{x}']);
    assert.deepEqual(
      shown('  - {id: b, effect: allow, methods: [resources/read], when: has(request.uri)}\n', 'template', [
        'a',
      ]),
      ['a'],
    );
    assert.deepEqual(shown('  - {id: b, effect: deny, methods: [resources/read]}\n', 'template', ['a']), []);
  });

  test('a template is hidden where no URI may be read', () => {
    const pipes = `  - {id: b, effect: allow, methods: [resources/read], when: 'request.transport == "pipe"'}\n`;
    assert.deepEqual(shown(pipes, 'template', ['a']), []);
    assert.deepEqual(shown(pipes.replace('"pipe"', '"tcp"'), 'template', ['a']), ['a']);
  });

  test('take a grant on their server', () => {
    const both = ['prompt', 'resource', 'template'] as const;
    const open = '  - {id: a, effect: allow, methods: ["*/*"]}\n';
    for (const kind of both) {
      assert.deepEqual(shown(open, kind, ['x'], { identity: { ...ALICE, grants: ['t/*'] } }), []);
      assert.deepEqual(shown(open, kind, ['x'], { identity: { ...ALICE, grants: ['s/never'] } }), ['x']);
    }
  });
});

// What conditions are made of; the last ones fail for lack of a member, or are neither true nor false.
const ATOMS = [
  'args.a == 1',
  'args.a',
  'has(args.a)',
  '"a" in args',
  'size(args) > 0',
  'args == args',
  'args.list.exists(i, i > 1)',
  '["a", "b"].all(k, k in args)',
  'args.exists(k, k == tool.name)',
  'request == request',
  'identity.user == "alice"',
  '"ops" in identity.roles',
  'tool.name == "read"',
  'request.uri.startsWith("doc")',
  'has(request.uri)',
  '"uri" in request',
  'request["uri"] == "doc"',
  'request.transport == "tcp"',
  'request.prompt == "read"',
  'true',
  'false',
  'identity.issuer == "x"',
  '["read"].exists(t, t == tool.name || args.a == 2)',
];
const condition = fc.letrec<{ it: string }>((tie) => ({
  it: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(...ATOMS),
    fc.tuple(tie('it'), fc.constantFrom('&&', '||'), tie('it')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('it').map((a) => `!(${a})`),
    fc.tuple(tie('it'), tie('it'), tie('it')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
  ),
})).it;
const rule = fc.record({
  effect: fc.constantFrom('allow', 'allow', 'deny', 'require_approval'),
  target: fc.constantFrom(
    'tools: ["s/*"]',
    'tools: ["s/read"]',
    'methods: ["*/*"]',
    'methods: [prompts/get, resources/read]',
  ),
  identities: fc.constantFrom('authenticated', 'anonymous'),
  when: fc.option(condition),
});
const rulesText = (
  rules: readonly { effect: string; target: string; identities: string; when: string | null }[],
) =>
  rules
    .map(({ effect, target, identities, when }, index) => {
      const guard = when === null ? '' : `, when: '${when}'`;
      return `  - {id: r${index}, effect: ${effect}, identities: [${identities}], ${target}${guard}}\n`;
    })
    .join('') || '  []\n';

const ARGUMENTS = ['{}', '{"a":1}', '{"a":true}', '{"a":2,"b":null}', '{"list":[1,2]}', '{"read":1}'].map(
  jsonArgs,
);
const ITEMS: Readonly<
  Record<ItemKind, { asked: Partial<PolicyRequest>; others: readonly Partial<PolicyRequest>[] }>
> = {
  tool: { asked: { method: 'tools/call', tool: 'read' }, others: ARGUMENTS.map((args) => ({ args })) },
  prompt: {
    asked: { method: 'prompts/get', prompt: 'read', tool: undefined },
    others: ARGUMENTS.map((args) => ({ args })),
  },
  resource: { asked: { method: 'resources/read', uri: 'doc', tool: undefined }, others: [{}] },
  template: {
    asked: { method: 'resources/read', tool: undefined },
    others: ['doc', 'docs:/a', 'key'].map((uri) => ({ uri })),
  },
};

describe('what evaluate says', () => {
  test('nothing is hidden that it would let through or hold with some arguments, or read by some URI', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), fc.constantFrom(ALICE, ANONYMOUS), (rules, identity) => {
        const policy = policyOf(policyText(rulesText(rules)));
        const base = { identity, server: 's', transport: 'tcp' } as const;
        const visible = visibleTo(policy, base, { now: NOW });
        for (const [kind, { asked, others }] of Object.entries(ITEMS) as [
          ItemKind,
          (typeof ITEMS)['tool'],
        ][]) {
          const passes = others.some((other) => {
            const request = requestOf({ ...base, ...asked, ...other });
            return evaluate(policy, request, { now: NOW, unmatched: 'deny' }).verdict.effect !== 'deny';
          });
          const seen = visible(kind, 'uri' in asked ? 'doc' : 'read');
          assert.ok(seen || !passes, `${kind} hidden`);
          // With nothing unknown, it is the same question.
          if (kind === 'resource') assert.equal(seen, passes);
        }
      }),
      { numRuns: runs(50) },
    );
  });

  test('without a word of the arguments in its conditions, a tool is shown if and only if it may be called', () => {
    const known = rule.filter(({ when }) => when === null || !when.includes('args'));
    fc.assert(
      fc.property(fc.array(known, { maxLength: 4 }), (rules) => {
        const policy = policyOf(policyText(rulesText(rules)));
        const base = { identity: ALICE, server: 's', transport: 'tcp' } as const;
        const request = requestOf({ ...base, method: 'tools/call', tool: 'read' });
        const { effect } = evaluate(policy, request, { now: NOW, unmatched: 'deny' }).verdict;
        assert.equal(visibleTo(policy, base, { now: NOW })('tool', 'read'), effect !== 'deny');
      }),
      { numRuns: runs(30) },
    );
  });
});

test('what depends on no item is asked once for all', () => {
  const policy = policyOf(
    policyText(
      '  - {id: a, effect: allow, tools: ["s/*"], when: identity.user == "alice"}\n' +
        '  - {id: b, effect: deny, tools: ["s/*"], when: tool.name == "t7"}\n',
    ),
  );
  let asked = 0;
  const identity: Identity = {
    ...ALICE,
    get user() {
      asked += 1;
      return 'alice';
    },
  };
  const visible = visibleTo(policy, { identity, server: 's', transport: 'tcp' }, { now: NOW });
  const names = Array.from({ length: 50 }, (_, index) => `t${index}`);
  assert.equal(names.filter((name) => visible('tool', name)).length, 49);
  assert.equal(asked, 1);
});
