import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { balance, createLedger, type Fate, type Ledger, type Recorded } from './ledger.ts';

const OF_SERVERS = new Set(['elicitation/create']);

function decision(traceId: string, more: Partial<Recorded> = {}): Recorded {
  return {
    name: 'verdict.decision',
    uid: `uid-${traceId}`,
    traceId,
    method: 'tools/call',
    effect: 'allow',
    reason: 'rule',
    message: '',
    decision: '',
    ...more,
  };
}

function outcome(traceId: string): Recorded {
  return decision(traceId, { name: 'verdict.outcome', uid: `out-${traceId}`, decision: `uid-${traceId}` });
}

const DENIED = { effect: 'deny', reason: 'rule' };
const REFUSED = { effect: 'deny', reason: 'parse' };

function sent(...messages: readonly (readonly [traceId: string, fate: Fate, answered?: boolean])[]): Ledger {
  const ledger = createLedger();
  for (const [traceId, fate, answered = true] of messages) {
    ledger.send(traceId, 'tools/call', fate).answered = answered;
  }
  return ledger;
}

const faultsOf = (ledger: Ledger, ...records: readonly Recorded[]): readonly string[] =>
  balance(ledger, records, OF_SERVERS).faults;

describe('the books of a soak', () => {
  test('balance where each message has what is due', () => {
    const ledger = sent(
      ['a', 'allow'],
      ['b', 'deny'],
      ['c', 'reject'],
      ['d', 'silent'],
      ['e', 'allow', false],
    );
    const asked = { ...decision('a', { uid: 'asked', method: 'elicitation/create' }) };
    const answered = { ...outcome('a'), decision: 'asked' };
    const records = [
      decision('a'),
      outcome('a'),
      asked,
      answered,
      decision('b', DENIED),
      decision('c', REFUSED),
    ];
    assert.deepEqual(faultsOf(ledger, ...records), []);
  });

  const wrong: Readonly<Record<string, [Ledger, readonly Recorded[], RegExp]>> = {
    'an answered call without a decision': [sent(['a', 'allow']), [], /no decision/],
    'a call that was decided twice': [
      sent(['a', 'allow']),
      [decision('a'), outcome('a'), decision('a', { uid: 'b', ...DENIED })],
      /of one message/,
    ],
    'a call that nobody saw answered, decided twice': [
      sent(['a', 'deny', false]),
      [decision('a', DENIED), decision('a', { uid: 'b', ...DENIED })],
      /of one message/,
    ],
    'an allowed call without an outcome': [sent(['a', 'allow']), [decision('a')], /0 outcomes/],
    'a call with two outcomes': [
      sent(['a', 'allow']),
      [decision('a'), outcome('a'), outcome('a')],
      /2 outcomes/,
    ],
    'a denied call with an outcome': [
      sent(['a', 'deny']),
      [decision('a', DENIED), outcome('a')],
      /1 outcomes of a decision to deny/,
    ],
    'an outcome of nothing': [sent(), [outcome('a')], /never decided/],
    'a denied call that was to be allowed': [
      sent(['a', 'allow']),
      [decision('a', DENIED)],
      /where allow was due/,
    ],
    'an allowed call that was to be denied': [
      sent(['a', 'deny']),
      [decision('a'), outcome('a')],
      /where deny was due/,
    ],
    'a decision on what nobody sent': [sent(), [decision('a'), outcome('a')], /not sent/],
    'a record of a ping': [sent(['a', 'silent']), [decision('a'), outcome('a')], /not recorded/],
    'a refusal that is neither on record nor counted': [sent(['a', 'reject']), [], /1 to 1 messages/],
    'more refusals than there were': [
      sent(['a', 'reject']),
      [decision('a', REFUSED), decision('x', { ...REFUSED, message: '2 more messages from y were refused' })],
      /1 are on record|1 refusals are on record and 2 are counted/,
    ],
  };

  for (const [what, [ledger, records, fault]] of Object.entries(wrong)) {
    test(`do not balance with ${what}`, () => {
      assert.match(faultsOf(ledger, ...records).join('\n'), fault);
    });
  }

  test('take a count for as many refusals as it says, and no record for a client that went away', () => {
    const ledger = sent(['a', 'reject'], ['b', 'reject'], ['c', 'reject', false], ['d', 'allow', false]);
    ledger.sendUntraced(1, true);
    const counted = decision('x', { ...REFUSED, message: '2 more messages from 127.0.0.1 were refused' });
    assert.deepEqual(faultsOf(ledger, decision('a', REFUSED), counted), []);
    assert.equal(faultsOf(ledger, decision('a', REFUSED)).length, 1);
  });
});
