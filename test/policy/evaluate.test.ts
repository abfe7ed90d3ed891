import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { ANONYMOUS } from '../../src/identity/identity.ts';
import { evaluate } from '../../src/policy/evaluate.ts';
import { explainRules } from '../../src/policy/explain.ts';
import { candidates } from '../../src/policy/policy.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { PolicyRequest } from '../../src/policy/verdict.ts';
import { runs } from '../support/runs.ts';
import { jsonArgs, NOW, policyOf, policyText, requestOf } from './support.ts';

function decide(
  policy: Policy,
  given: Partial<PolicyRequest> = {},
  unmatched: 'allow' | 'deny' = 'deny',
): string {
  const { verdict } = evaluate(policy, requestOf(given), { now: NOW, unmatched });
  return `${verdict.effect} ${verdict.reason} ${verdict.ruleId ?? '-'}`;
}

const GROUPS = `identities:
  bots: {any: [{api_key: k_01J9}, {agent: a2}, {user: bob}, {role: finance}]}
`;

describe('who a rule is for', () => {
  const policy = policyOf(
    policyText(
      `  - {id: everyone, effect: allow, tools: ["files/*"]}
  - {id: bots, effect: allow, identities: [bots], tools: ["stripe/*"]}
  - {id: strangers, effect: allow, identities: [anonymous], tools: ["public/*"]}
`,
      GROUPS,
    ),
  );
  const cases: readonly (readonly [name: string, given: Partial<PolicyRequest>, verdict: string])[] = [
    [
      'a rule that names nobody is for every authenticated caller',
      { server: 'files' },
      'allow rule everyone',
    ],
    ['but not for an anonymous one', { server: 'files', identity: ANONYMOUS }, 'deny default -'],
    ['a group holds an API key', {}, 'allow rule bots'],
    ['an agent by id', { identity: { source: 'jwt', agent: { id: 'a2' } } }, 'allow rule bots'],
    ['an agent by name', { identity: { source: 'jwt', agent: { name: 'a2' } } }, 'allow rule bots'],
    ['a user', { identity: { source: 'stdio', user: 'bob' } }, 'allow rule bots'],
    ['a role', { identity: { source: 'jwt', roles: ['ops', 'finance'] } }, 'allow rule bots'],
    [
      'and nobody whose user is called like its agent',
      { identity: { source: 'stdio', user: 'a2' } },
      'deny default -',
    ],
    [
      'what an anonymous caller carries counts for nothing',
      { identity: { source: 'none', user: 'bob' } },
      'deny default -',
    ],
    [
      'anonymous is for those who proved nothing',
      { server: 'public', identity: ANONYMOUS },
      'allow rule strangers',
    ],
    ['and for nobody else', { server: 'public' }, 'deny default -'],
  ];
  for (const [name, given, verdict] of cases) {
    test(name, () => {
      assert.equal(decide(policy, given), verdict);
    });
  }
});

describe('what a rule is about', () => {
  const policy = policyOf(
    policyText(`  - {id: one, effect: allow, tools: ["stripe/create_refund"]}
  - {id: reads, effect: allow, tools: ["*/read_*"]}
  - {id: nested, effect: allow, tools: ["git/*"]}
  - {id: prompts, effect: allow, methods: ["prompts/get", "resources/*"], servers: ["doc*"]}
  - {id: no-lists, effect: deny, methods: ["prompts/list"]}
`),
  );
  const cases: readonly (readonly [given: Partial<PolicyRequest>, verdict: string])[] = [
    [{}, 'allow rule one'],
    [{ tool: 'Create_refund' }, 'deny default -'],
    [{ tool: 'create_refund2' }, 'deny default -'],
    [{ server: 'stripe2' }, 'deny default -'],
    [{ server: 'files', tool: 'read_file' }, 'allow rule reads'],
    [{ server: 'a/read_b', tool: 'x' }, 'deny default -'],
    [{ server: 'git', tool: 'log/all' }, 'allow rule nested'],
    [{ method: 'tools/call', tool: undefined }, 'deny default -'],
    [{ method: 'prompts/get', tool: undefined, server: 'docs', prompt: 'p' }, 'allow rule prompts'],
    [{ method: 'prompts/get', tool: undefined, server: 'files', prompt: 'p' }, 'deny default -'],
    [{ method: 'resources/read', tool: undefined, server: 'docs' }, 'allow rule prompts'],
    [{ method: 'sampling/createMessage', tool: 'create_refund' }, 'deny default -'],
  ];
  for (const [given, verdict] of cases) {
    test(`${JSON.stringify(given)}: ${verdict}`, () => {
      assert.equal(decide(policy, given), verdict);
    });
  }

  test('a rule with two globs for one server is asked once, and in its place', () => {
    const twice = policyOf(
      policyText(`  - {id: b, effect: allow, tools: ["git/log*", "git/*", "*/log"]}
  - {id: a, effect: deny, tools: ["*/log", "git/log"]}
`),
    );
    const ids = candidates(twice, requestOf({ server: 'git', tool: 'log' })).map(({ id }) => id);
    assert.deepEqual(ids, ['a', 'b']);
  });

  test('a method of the protocol passes unless a rule names it', () => {
    const list = { method: 'tools/list', tool: undefined };
    assert.equal(decide(policy, list, 'allow'), 'allow default -');
    assert.equal(decide(policy, { ...list, method: 'prompts/list' }, 'allow'), 'deny rule no-lists');
    assert.equal(
      decide(policy, { ...list, method: 'prompts/list', identity: ANONYMOUS }, 'allow'),
      'allow default -',
    );
  });

  test('a method glob that matches tools/call is about every tool', () => {
    const all = policyOf(
      policyText(
        '  - {id: all, effect: deny, methods: ["*"]}\n  - {id: one, effect: allow, tools: ["*/*"]}\n',
      ),
    );
    assert.equal(decide(all), 'deny rule all');
  });
});

describe('how effects combine', () => {
  const rule = (id: string, effect: string, when?: string): string =>
    `  - {id: ${id}, effect: ${effect}, tools: ["*/*"]${when === undefined ? '' : `, when: "${when}"`}}\n`;
  const failing = 'args.missing > 1';
  const cases: readonly (readonly [name: string, rules: readonly string[], verdict: string])[] = [
    ['nothing matched is a deny', [], 'deny default -'],
    ['allow', [rule('a', 'allow')], 'allow rule a'],
    ['a false condition is no match', [rule('a', 'allow', 'false')], 'deny default -'],
    [
      'require_approval beats allow',
      [rule('a', 'allow'), rule('b', 'require_approval')],
      'require_approval approval_required b',
    ],
    [
      'deny beats both',
      [rule('a', 'allow'), rule('b', 'require_approval'), rule('c', 'deny')],
      'deny rule c',
    ],
    ['of two denies the first by id decides', [rule('d', 'deny'), rule('c', 'deny')], 'deny rule c'],
    ['a failing allow is a deny', [rule('a', 'allow', failing)], 'deny policy_error a'],
    [
      'even beside an allow that matches',
      [rule('a', 'allow'), rule('b', 'allow', failing)],
      'deny policy_error b',
    ],
    ['a failing deny is a deny', [rule('a', 'allow'), rule('b', 'deny', failing)], 'deny policy_error b'],
    [
      'a failing require_approval is a deny',
      [rule('a', 'allow'), rule('b', 'require_approval', failing)],
      'deny policy_error b',
    ],
    [
      'a deny that matches names itself, not the failure',
      [rule('a', 'deny', failing), rule('b', 'deny')],
      'deny rule b',
    ],
  ];
  for (const [name, rules, verdict] of cases) {
    test(name, () => {
      const text = policyText(rules.join('')).replace(/rules:\n$/, 'rules: []\n');
      assert.equal(decide(policyOf(text)), verdict);
    });
  }

  test('of two denies the first by id decides, however they name the tool', () => {
    const globs = ['"stripe/create_refund"', '"stripe/*"', '"*/create_refund"'];
    for (const [first, second] of globs.flatMap((a) => globs.map((b) => [a, b]))) {
      const text = policyText(
        `  - {id: b, effect: deny, tools: [${second}]}\n  - {id: a, effect: deny, tools: [${first}]}\n`,
      );
      assert.equal(decide(policyOf(text)), 'deny rule a');
    }
  });

  test('a rule that failed for another caller or tool denies nobody', () => {
    const policy = policyOf(
      policyText(
        `${rule('a', 'allow')}  - {id: b, effect: deny, tools: ["x/*"], when: "${failing}"}\n  - {id: c, effect: deny, identities: [anonymous], tools: ["*/*"], when: "${failing}"}\n`,
      ),
    );
    assert.equal(decide(policy), 'allow rule a');
  });
});

describe('the verdict', () => {
  const policy = policyOf(
    policyText(`  - {id: never-delete, effect: deny, tools: ["*/delete_*"], arguments: none}
  - {id: refunds, effect: allow, tools: ["stripe/create_refund"], reason: "Small refunds are fine", arguments: full, when: "args.amount <= 5000"}
`).replace('{name: test}', '{name: payments, version: "3"}'),
  );
  const verdictOf = (given: Partial<PolicyRequest>) =>
    evaluate(policy, requestOf(given), { now: NOW, unmatched: 'deny' });

  test('names the rule, its file and the digest of all policy', () => {
    const { verdict, argumentsLevel } = verdictOf({ args: jsonArgs('{"amount": 5000}') });
    assert.deepEqual(verdict, {
      effect: 'allow',
      reason: 'rule',
      message: 'Small refunds are fine',
      ruleId: 'refunds',
      policy: { name: 'payments', file: '0.yaml', version: '3' },
      digest: policy.digest,
    });
    assert.equal(argumentsLevel, 'full');
  });

  const messages: readonly (readonly [given: Partial<PolicyRequest>, message: string, level: string])[] = [
    [{ tool: 'delete_all' }, 'Denied by rule never-delete.', 'none'],
    [{ server: 'files', tool: 'write_file' }, 'No rule allows files/write_file for this caller.', 'redacted'],
    [
      { method: 'resources/read', tool: undefined },
      'No rule allows resources/read on stripe for this caller.',
      'redacted',
    ],
    [{}, 'Denied because rule refunds cannot be evaluated: a member is missing in: args.amount.', 'full'],
    [
      { args: jsonArgs('{"amount": "s3cret"}') },
      'Denied because rule refunds cannot be evaluated: a value is of the wrong type in: args.amount <= 5000.',
      'full',
    ],
  ];
  for (const [given, message, level] of messages) {
    test(message, () => {
      const { verdict, argumentsLevel } = verdictOf(given);
      assert.deepEqual([verdict.message, argumentsLevel], [message, level]);
    });
  }

  test('a failure never quotes what the caller sent', () => {
    const secret = policyOf(
      policyText(
        '  - {id: a, effect: allow, tools: ["*/*"], when: "int(args.pin) == 1 || args[args.pin] == 1 || bool(args.pin)"}\n',
      ),
    );
    const { verdict } = evaluate(secret, requestOf({ args: jsonArgs('{"pin": "hunter2"}') }), {
      now: NOW,
      unmatched: 'deny',
    });
    assert.equal(verdict.reason, 'policy_error');
    assert.doesNotMatch(verdict.message, /hunter2/);
  });

  test('each rule can say why it matched or did not', () => {
    assert.deepEqual(
      explainRules(verdictOf({ args: jsonArgs('{"amount": 6000}') })).map(({ rule, outcome, why }) => [
        rule,
        outcome,
        why,
      ]),
      [
        ['never-delete', 'other_target', 'it is about */delete_*'],
        ['refunds', 'condition_false', 'its condition is false: args.amount <= 5000'],
      ],
    );
  });
});

describe('whatever the rules and the order', () => {
  const conditions = [
    '',
    'true',
    'false',
    'args.amount > 500',
    'args.missing == 1',
    'args.name',
    "identity.user == 'alice'",
  ];
  const ruleSpec = fc.record({
    effect: fc.constantFrom('allow', 'deny', 'require_approval'),
    target: fc.constantFrom(
      'tools: ["*/*"]',
      'tools: ["stripe/*"]',
      'tools: ["stripe/create_refund"]',
      'tools: ["git/*"]',
      'methods: ["tools/*"]',
    ),
    identities: fc.constantFrom(
      '',
      'identities: [anonymous],',
      'identities: [bots],',
      'identities: [authenticated, anonymous],',
    ),
    when: fc.constantFrom(...conditions),
    file: fc.nat(2),
  });
  const specs = fc.uniqueArray(fc.tuple(fc.integer({ min: 100, max: 999 }), ruleSpec), {
    selector: ([id]) => id,
    maxLength: 8,
  });
  type Spec = readonly [
    number,
    { effect: string; target: string; identities: string; when: string; file: number },
  ];

  const line = ([id, { effect, target, identities, when }]: Spec): string =>
    `  - {id: r${id}, effect: ${effect}, ${identities} ${target}${when === '' ? '' : `, when: "${when}"`}}\n`;
  const build = (rules: readonly Spec[]): Policy => {
    const texts = [0, 1, 2].map((file) =>
      rules
        .filter(([, spec]) => spec.file === file)
        .map(line)
        .join(''),
    );
    return policyOf(...texts.map((text) => policyText(text === '' ? '  []\n' : text, GROUPS)));
  };
  const args = jsonArgs('{"amount": 900, "name": "x"}');
  const identities = fc.constantFrom<PolicyRequest['identity']>(ANONYMOUS, requestOf().identity, {
    source: 'stdio',
    user: 'carol',
  });

  test('order of rules and files changes nothing', () => {
    fc.assert(
      fc.property(specs, identities, fc.integer(), (rules, identity, seed) => {
        const shuffled = rules.map(
          ([id, spec], index) => [id, { ...spec, file: (spec.file + index + seed) % 3 }] as const,
        );
        const moved = shuffled
          .map(([id, spec]) => [id, { ...spec, file: Math.abs(spec.file) }] as const)
          .toReversed();
        assert.equal(decide(build(rules), { args, identity }), decide(build(moved), { args, identity }));
      }),
      { numRuns: runs(25) },
    );
  });

  test('one more allow never weakens a deny', () => {
    fc.assert(
      fc.property(specs, identities, ruleSpec, (rules, identity, extra) => {
        const before = decide(build(rules), { args, identity });
        const after = decide(build([...rules, [1, { ...extra, effect: 'allow' }]]), { args, identity });
        if (before.startsWith('deny') && !before.startsWith('deny default')) assert.match(after, /^deny/);
        if (before.startsWith('require_approval')) assert.doesNotMatch(after, /^allow/);
      }),
      { numRuns: runs(25) },
    );
  });

  test('a rule that matched and failed never lets a call through', () => {
    fc.assert(
      fc.property(specs, identities, (rules, identity) => {
        const evaluation = evaluate(build(rules), requestOf({ args, identity }), {
          now: NOW,
          unmatched: 'allow',
        });
        if (evaluation.trace().some(({ outcome }) => outcome === 'failed'))
          assert.equal(evaluation.verdict.effect, 'deny');
      }),
      { numRuns: runs(25) },
    );
  });
});
