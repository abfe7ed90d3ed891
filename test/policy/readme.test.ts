/** The policies that README shows are read by people in a hurry: they must be good, and hold against dodging. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { evaluate } from '../../src/policy/evaluate.ts';
import { lintPolicy, methodFaults } from '../../src/policy/lint.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { METHODS } from '../../src/proxy/message/methods.ts';
import { jsonArgs, NOW, policyOf, requestOf } from './support.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const POLICIES = [...README.matchAll(/```yaml\n([^]*?)```/g)]
  .map(([, text = '']) => text)
  .filter((text) => text.includes('kind: Policy'));

test('every policy in README is valid, and nothing in it is hardly meant', () => {
  assert.equal(POLICIES.length, 2);
  for (const text of POLICIES) {
    const loaded = loadPolicy([{ file: 'README', text }]);
    assert.ok(loaded.ok);
    const methods = METHODS.map(({ method }) => method);
    assert.deepEqual(lintPolicy(loaded.policy, loaded.place), []);
    assert.deepEqual(methodFaults(loaded.policy, loaded.place, methods), []);
  }
});

describe('README’s own deny is not dodged', () => {
  const policy = policyOf(POLICIES[0] ?? '');
  const cases: readonly (readonly [tool: string, args: string, verdict: string])[] = [
    ['read_text_file', '{"path": "/srv/a"}', 'allow rule'],
    ['list_allowed_directories', '{}', 'allow rule'],
    ['read_multiple_files', '{"paths": ["/srv/a", "/srv/b"]}', 'allow rule'],
    ['read_text_file', '{"path": "/srv/secrets/key"}', 'deny rule'],
    ['read_text_file', '{"path": "/srv/a/../secrets/key"}', 'deny rule'],
    ['read_text_file', '{"path": "//srv/./secrets"}', 'deny rule'],
    ['read_text_file', '{"path": "secrets/key"}', 'deny policy_error'],
    ['read_text_file', '{"path": "./secrets/key"}', 'deny policy_error'],
    ['read_text_file', '{"path": "~/secrets/key"}', 'deny policy_error'],
    ['read_text_file', '{"path": "/srv/%73ecrets/key"}', 'deny policy_error'],
    ['read_text_file', '{"path": "\\\\srv\\\\secrets"}', 'deny policy_error'],
    ['read_text_file', `{"path": "/srv${'/.'.repeat(3000)}/secrets/key"}`, 'deny policy_error'],
    ['read_text_file', '{"path": null}', 'deny policy_error'],
    ['read_text_file', '{"path": ["/srv/secrets/key"]}', 'deny policy_error'],
    ['read_multiple_files', '{"paths": ["/srv/a", "/srv/secrets/key"]}', 'deny rule'],
    ['read_multiple_files', '{"paths": ["/srv/a", "secrets/key"]}', 'deny policy_error'],
    ['read_multiple_files', '{"path": "/srv/a", "paths": ["/srv/secrets/key"]}', 'deny rule'],
    ['write_file', '{"path": "/srv/a"}', 'deny default'],
  ];
  for (const [tool, args, expected] of cases) {
    test(`${tool} ${args.slice(0, 60)}: ${expected}`, () => {
      const request = requestOf({ server: 'files', tool, args: jsonArgs(args) });
      const { verdict } = evaluate(policy, request, { now: NOW, unmatched: 'deny' });
      assert.equal(`${verdict.effect} ${verdict.reason}`, expected);
    });
  }
});
