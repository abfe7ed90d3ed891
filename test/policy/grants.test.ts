import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { evaluate } from '../../src/policy/evaluate.ts';
import type { PolicyRequest } from '../../src/policy/verdict.ts';
import { NOW, policyOf, policyText, requestOf } from './support.ts';

const policy = policyOf(
  policyText(`  - {id: all, effect: allow, tools: ["*/*"]}
  - {id: reads, effect: allow, methods: ["resources/read"]}
  - {id: never, effect: deny, tools: ["*/delete_*"]}
`),
);

function verdict(
  grants: readonly string[] | undefined,
  given: Partial<PolicyRequest>,
  unmatched: 'allow' | 'deny' = 'deny',
) {
  const identity = { source: 'api_key', user: 'bob', grants } as const;
  return evaluate(policy, requestOf({ identity, ...given }), { now: NOW, unmatched }).verdict;
}

const call = (server: string, tool: string) => ({ server, tool });
const other = (server: string, method: string) => ({ server, method, tool: undefined });

describe('credentials that are limited', () => {
  const cases: readonly (readonly [readonly string[] | undefined, Partial<PolicyRequest>, string])[] = [
    [undefined, call('stripe', 'refund'), 'allow'],
    [['stripe/refund'], call('stripe', 'refund'), 'allow'],
    [['stripe/re*'], call('stripe', 'refund'), 'allow'],
    [['files/*', 'stripe/refund'], call('stripe', 'refund'), 'allow'],
    [['stripe/refund'], call('stripe', 'refund_all'), 'deny'],
    [['stripe/refund'], call('stripe', 'Refund'), 'deny'],
    [['files/*'], call('stripe', 'refund'), 'deny'],
    [[], call('stripe', 'refund'), 'deny'],
    [['stripe'], call('stripe', 'refund'), 'deny'],
    [['*/refund'], call('stripe', 'refund'), 'allow'],
    [['stripe/refund'], other('stripe', 'resources/read'), 'allow'],
    [['files/*'], other('stripe', 'resources/read'), 'deny'],
    [[], other('stripe', 'resources/read'), 'deny'],
  ];
  for (const [grants, given, effect] of cases) {
    test(`to ${JSON.stringify(grants) ?? 'nothing'}: ${given.server} ${given.tool ?? given.method} is ${effect}`, () => {
      const found = verdict(grants, given);
      assert.equal(found.effect, effect);
      if (effect === 'allow') return;
      assert.deepEqual([found.reason, found.ruleId], ['default', undefined]);
      assert.match(found.message, /^These credentials are not for stripe/);
    });
  }

  test('do not reach the methods of the protocol of another server either', () => {
    assert.equal(verdict(['stripe/x'], other('stripe', 'tools/list'), 'allow').effect, 'allow');
    assert.equal(verdict(['files/x'], other('stripe', 'tools/list'), 'allow').effect, 'deny');
  });

  test('leave the name of the rule that denies in any case', () => {
    assert.equal(verdict(['files/*'], call('stripe', 'delete_all')).ruleId, 'never');
    assert.equal(verdict(['*/*'], call('stripe', 'delete_all')).ruleId, 'never');
  });

  test('never are allowed more than without the limit', () => {
    const grant = fc.oneof(fc.string(), fc.constantFrom('*/*', 'stripe/*', '*/delete_*', 'stripe/refund'));
    const tool = fc.constantFrom('refund', 'delete_all', 'x', '');
    fc.assert(
      fc.property(fc.array(grant), tool, (grants, name) => {
        const limited = verdict(grants, call('stripe', name)).effect;
        assert.ok(limited === 'deny' || limited === verdict(undefined, call('stripe', name)).effect);
      }),
    );
  });
});
