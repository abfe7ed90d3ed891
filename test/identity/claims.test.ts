import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DELEGATION_MAX, identityOf, type ClaimNames } from '../../src/identity/claims.ts';
import { delegation, GOOD_CLAIMS, ISSUER, TRUSTED } from '../support/tokens.ts';

function read(claims: Readonly<Record<string, unknown>>, names: ClaimNames = TRUSTED.claims) {
  return identityOf({ ...GOOD_CLAIMS, ...claims }, names, ISSUER);
}

describe('what a token says of its bearer', () => {
  test('the current actor is the agent, and the chain is told from it on', () => {
    const result = read({ act: { sub: 'refunds', act: { sub: 'planner' } } });
    assert.ok(result.ok);
    assert.deepEqual(result.identity.agent, { id: 'refunds' });
    assert.deepEqual(result.identity.delegation, ['refunds', 'planner']);
    assert.equal(result.identity.user, 'alice');
  });

  test('a chain may be as long as the limit', () => {
    const result = read({ act: delegation(DELEGATION_MAX) });
    assert.equal(result.ok && result.identity.delegation?.length, DELEGATION_MAX);
  });

  test('an actor of another issuer does not pass for ours of the same name', () => {
    const result = read({ act: { sub: 'refunds', iss: 'https://x.example' } });
    assert.deepEqual(result.ok && result.identity.agent, { id: 'https://x.example refunds' });
    const own = read({ act: { sub: 'refunds', iss: ISSUER } });
    assert.deepEqual(own.ok && own.identity.agent, { id: 'refunds' });
  });

  test('claims are found where the configuration says, also inside others and with dots in their names', () => {
    const claims = { user: 'email', roles: '/realm_access/roles', agent: 'https://corp.example/agent' };
    const result = read(
      {
        email: 'a@corp.example',
        realm_access: { roles: ['ops'] },
        'https://corp.example/agent': 'bot',
      },
      claims,
    );
    assert.ok(result.ok);
    const { user, roles, agent } = result.identity;
    assert.deepEqual(
      { user, roles, agent },
      { user: 'a@corp.example', roles: ['ops'], agent: { id: 'bot' } },
    );
  });

  test('grants are read where a claim of them is named, and a token without that one has none', () => {
    const names = { ...TRUSTED.claims, grants: 'https://corp.example/tools' };
    const granted = read({ 'https://corp.example/tools': ['files/read_*'] }, names);
    assert.deepEqual(granted.ok && granted.identity.grants, ['files/read_*']);
    const none = read({}, names);
    assert.deepEqual(none.ok && none.identity.grants, []);
    const unnamed = read({ grants: ['files/read_*'] });
    assert.equal(unnamed.ok && unnamed.identity.grants, undefined);
    assert.ok(!read({ 'https://corp.example/tools': { files: true } }, names).ok);
  });

  test('a member of the prototype is no claim', () => {
    const claims = { user: 'constructor', roles: '/__proto__/roles', agent: undefined };
    assert.deepEqual(read({}, claims), { ok: false, message: 'the token has no claim constructor' });
  });

  test('scopes can be roles, one each; another text is one role', () => {
    const scopes = read({ scope: 'read write' }, { ...TRUSTED.claims, roles: 'scope' });
    assert.deepEqual(scopes.ok && scopes.identity.roles, ['read', 'write']);
    const one = read({ roles: 'Finance Team' });
    assert.deepEqual(one.ok && one.identity.roles, ['Finance Team']);
  });
});
