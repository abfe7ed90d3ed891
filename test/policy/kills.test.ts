import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { errorText } from '../../src/errors.ts';
import { formatFault } from '../../src/document.ts';
import type { Identity } from '../../src/identity/identity.ts';
import {
  isOver,
  isSameTarget,
  killDetails,
  killedServers,
  killOf,
  killsText,
  KILL_REASON_CHARS_MAX,
  KILLS_MAX,
  loadKills,
  targetText,
  type Kill,
} from '../../src/policy/kills.ts';

const file = (...kills: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'KillSwitch', kills });

function loaded(text: string): readonly Kill[] {
  const result = loadKills('kill.json', text);
  assert.ok(result.ok, result.ok ? '' : result.faults.map(formatFault).join('\n'));
  return result.kills;
}

const faults = (text: string): string[] => {
  const result = loadKills('kill.json', text);
  return result.ok ? [] : result.faults.map(formatFault);
};

const ALICE: Identity = {
  source: 'jwt',
  user: 'alice',
  issuer: 'https://idp.example',
  agent: { id: 'a-1', name: 'claude-code' },
  delegation: ['a-1', 'planner'],
};
const KEYED: Identity = { source: 'api_key', user: 'bob', keyId: 'k_abcd', issuer: 'keys.yaml' };
const NOBODY: Identity = { source: 'none' };

describe('a kill', () => {
  const hits: readonly (readonly [string, Kill, readonly Identity[]])[] = [
    ['of all is for everybody', { scope: 'all' }, [ALICE, KEYED, NOBODY]],
    ['of a server is for whoever calls it', { scope: 'server', id: 'stripe' }, [ALICE, KEYED, NOBODY]],
    ['of another server is for nobody here', { scope: 'server', id: 'files' }, []],
    ['of a user is for that one', { scope: 'user', id: 'alice' }, [ALICE]],
    [
      'of a user of an issuer is for that one',
      { scope: 'user', id: 'alice', issuer: 'https://idp.example' },
      [ALICE],
    ],
    [
      'of a user of another issuer is for nobody',
      { scope: 'user', id: 'alice', issuer: 'https://other.example' },
      [],
    ],
    ['of an agent is for its id', { scope: 'agent', id: 'a-1' }, [ALICE]],
    ['of an agent is for its name', { scope: 'agent', id: 'claude-code' }, [ALICE]],
    ['of an agent is for whom it has passed a task on to', { scope: 'agent', id: 'planner' }, [ALICE]],
    ['of a key is for that key', { scope: 'api_key', id: 'k_abcd' }, [KEYED]],
    ['of a user is not for an agent of that name', { scope: 'user', id: 'claude-code' }, []],
    ['of an agent is not for a user of that name', { scope: 'agent', id: 'bob' }, []],
    ['of a name in other letters is for nobody', { scope: 'user', id: 'Alice' }, []],
  ];
  for (const [what, kill, identities] of hits) {
    test(what, () => {
      const found = [ALICE, KEYED, NOBODY].filter(
        (identity) => killOf([kill], { identity, server: { name: 'stripe' } }, 0) !== undefined,
      );
      assert.deepEqual(found, identities);
    });
  }

  test('without an id, which no file can hold, is for nobody', () => {
    for (const scope of ['server', 'user', 'agent', 'api_key'] as const) {
      assert.equal(killOf([{ scope }], { identity: NOBODY, server: { name: 'stripe' } }, 0), undefined);
    }
  });

  test('ends at its time, to the millisecond, and another one goes on', () => {
    const kill: Kill = { scope: 'all', until: '2026-11-22T10:00:00.000Z' };
    const end = Date.parse('2026-11-22T10:00:00.000Z');
    assert.deepEqual(
      [isOver(kill, end - 1), isOver(kill, end), isOver({ scope: 'all' }, end)],
      [false, true, false],
    );
    const other: Kill = { scope: 'server', id: 'stripe' };
    const subject = { identity: NOBODY, server: { name: 'stripe' } };
    assert.equal(killOf([kill, other], subject, end - 1), kill);
    assert.equal(killOf([kill, other], subject, end), other);
  });

  test('is told in words', () => {
    const kill: Kill = {
      scope: 'server',
      id: 'stripe',
      reason: 'card numbers.',
      until: '2026-11-22T10:00:00Z',
    };
    assert.equal(
      errorText('killed', killDetails(kill)),
      'The kill switch is thrown for the server stripe: card numbers. Nothing is passed on until an operator lifts it, at 2026-11-22T10:00:00Z at the latest; trying again does not help.',
    );
    assert.equal(targetText({ scope: 'user', id: 'alice', issuer: 'x' }), 'the user alice of x');
    assert.equal(targetText({ scope: 'api_key', id: 'k_abcd' }), 'the API key k_abcd');
  });
});

describe('the file of the kill switch', () => {
  test('is read as it is written', () => {
    const text = fc
      .string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
      .filter((value) => !/[\p{Cc}\u2028\u2029]/u.test(value));
    const time = fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date('2100-01-01') })
      .map((date) => date.toISOString());
    const facts = fc.record({ reason: text, since: time, until: time, by: text }, { requiredKeys: [] });
    const target = fc.oneof(
      fc.constant({ scope: 'all' as const }),
      fc.record({ scope: fc.constantFrom('server' as const, 'agent' as const), id: text }),
      fc.record({
        scope: fc.constant('user' as const),
        id: text,
        issuer: fc.option(text, { nil: undefined }),
      }),
      fc.record({ scope: fc.constant('api_key' as const), id: fc.stringMatching(/^k_[A-Za-z0-9]{4,32}$/) }),
    );
    const kills = fc.array(
      fc.tuple(target, facts).map(([a, b]): Kill => ({ ...a, ...b })),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(kills, (given) => {
        assert.deepEqual(
          JSON.parse(JSON.stringify(loaded(killsText(given)))),
          JSON.parse(JSON.stringify(given)),
        );
      }),
    );
  });

  const bad: readonly (readonly [string, string, RegExp])[] = [
    ['nothing', '', /^kill\.json:1:1 the file is empty$/],
    ['half of it', file({ all: true }).slice(0, -4), /^kill\.json:1:\d+ /],
    [
      'another kind',
      JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'Policy', kills: [] }),
      /must be KillSwitch/,
    ],
    ['an entry for nothing', file({ reason: 'x' }), /must name one of all, server, user, agent, key/],
    ['an entry for two', file({ server: 'a', user: 'b' }), /must name one of/],
    ['all that is not true', file({ all: false }), /must be true/],
    ['an unknown member', file({ servers: 'a' }), /servers/],
    ['an issuer without a user', file({ agent: 'a', issuer: 'b' }), /goes with a user only/],
    ['a whole key', file({ key: `k_abcd_${'x'.repeat(43)}` }), /the id of an API key/],
    ['no such time', file({ all: true, until: '2026-13-01T00:00:00Z' }), /there is no such time/],
    ['a reason of two lines', file({ all: true, reason: 'a\nb' }), /a text on one line/],
    ['a name that ends a line for some', file({ user: 'a\u2028b' }), /a text on one line/],
    [
      'a long reason',
      file({ all: true, reason: 'x'.repeat(KILL_REASON_CHARS_MAX + 1) }),
      /at most 300 characters/,
    ],
    [
      'too many entries',
      file(...Array.from({ length: KILLS_MAX + 1 }, () => ({ all: true }))),
      /at most 1000 entries/,
    ],
  ];
  for (const [what, text, message] of bad) {
    test(`is invalid with ${what}`, () => assert.match(faults(text).join('\n'), message));
  }

  test('holds as many entries, and as long a reason, as it may', () => {
    const entry = { all: true, reason: 'x'.repeat(KILL_REASON_CHARS_MAX) };
    assert.equal(loaded(file(...Array.from({ length: KILLS_MAX }, () => entry))).length, KILLS_MAX);
  });

  test('may be YAML, for whoever writes it by hand', () => {
    const text = 'apiVersion: mcp-verdict/v1\nkind: KillSwitch\nkills:\n  - server: stripe  # for now\n';
    assert.partialDeepStrictEqual(loaded(text), [{ scope: 'server', id: 'stripe' }]);
  });
});

test('servers are stopped by name alone: of what stops a caller, or everything, no server is to blame', () => {
  const kills: readonly Kill[] = [
    { scope: 'all' },
    { scope: 'user', id: 'files' },
    { scope: 'server', id: 'stripe' },
    { scope: 'server', id: 'mail' },
  ];
  assert.deepEqual([...killedServers(kills)], ['stripe', 'mail']);
});

test('kills are for the same whatever else they say', () => {
  assert.ok(isSameTarget({ scope: 'user', id: 'a', reason: 'x' }, { scope: 'user', id: 'a', until: 'y' }));
  assert.ok(!isSameTarget({ scope: 'user', id: 'a' }, { scope: 'user', id: 'a', issuer: 'i' }));
  assert.ok(!isSameTarget({ scope: 'user', id: 'a' }, { scope: 'agent', id: 'a' }));
});
