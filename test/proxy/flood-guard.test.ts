import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Gate, Origin, Rejection } from '../../src/proxy/gate.ts';
import {
  CALLER_REFUSALS_PER_SECOND,
  guardFloods,
  REFUSALS_PER_SECOND,
  SERVER_REFUSALS_PER_SECOND,
  SOURCES_MAX,
} from '../../src/proxy/flood-guard.ts';
import { admitResponse, guardInputs } from '../../src/proxy/inputs.ts';
import { readAnswer } from '../../src/proxy/message/answer-reader.ts';
import { PACE_PER_SECOND } from '../../src/proxy/pace.ts';
import {
  parseMessage,
  type NotificationMessage,
  type RequestMessage,
} from '../../src/proxy/message/message.ts';
import { answered, message as gateMessage, openGate, origin as anOrigin } from '../support/gate-scene.ts';

function open() {
  const rejected: Rejection[] = [];
  let decided = 0;
  const inner: Gate = {
    reject: (rejection) => (rejected.push(rejection), { httpStatus: 400, body: undefined }),
    decide: () => {
      decided += 1;
      return Promise.resolve({
        forward: true,
        asked: undefined,
        trace: { traceparent: '' },
        settle: () => {},
      });
    },
    show: (bytes) => ({ ok: true, bytes }),
  };
  const clock = { ms: 0, fullness: 0 };
  const waiting: { atMs: number; run: () => void }[] = [];
  const gate = guardFloods(inner, {
    nowMs: () => clock.ms,
    later: (delayMs, run) => void waiting.push({ atMs: clock.ms + delayMs, run }),
    fullness: () => clock.fullness,
  });
  /** Moves the clock, and lets what was to come by then come. */
  const pass = async (ms: number): Promise<void> => {
    clock.ms += ms;
    for (const { run } of waiting.splice(0)) run();
    await setImmediate();
  };
  return { pass, gate, rejected, clock, decided: () => decided };
}

const from = (clientAddress: string): Rejection => ({
  reason: 'identity_missing',
  code: 'identity_missing',
  details: {},
  origin: { clientAddress },
  id: null,
});

const origin = (user: string): Origin => ({
  server: { name: 's' },
  transport: 'tcp',
  identity: { source: 'api_key', user },
  claimed: {},
});

function message(text: string): RequestMessage | NotificationMessage {
  const parsed = parseMessage(Buffer.from(text));
  assert.ok(parsed.ok && parsed.message.kind !== 'response');
  return parsed.message;
}

const call = message(
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":"${'x'.repeat(600_000)}"}}}`,
);
const noise = message('{"jsonrpc":"2.0","method":"notifications/whatever"}');

describe('the flood guard', () => {
  test('records ten refusals of an address in a second one by one, and the rest as one count', () => {
    const { gate, rejected, clock } = open();
    for (let index = 0; index < 1000; index += 1) gate.reject(from('10.0.0.1'));
    assert.equal(rejected.length, REFUSALS_PER_SECOND);
    clock.ms = 1000;
    gate.reject(from('10.0.0.1'));
    assert.equal(rejected.length, REFUSALS_PER_SECOND + 2);
    const told = rejected[REFUSALS_PER_SECOND];
    assert.deepEqual([told?.code, told?.details], ['suppressed', { count: 990, source: '10.0.0.1' }]);
  });

  test('records more of a caller whom we know, and no more than its own limit', () => {
    const { gate, rejected } = open();
    const known = {
      ...from('10.0.0.1'),
      origin: { clientAddress: '10.0.0.1', identity: origin('a').identity },
    };
    for (let index = 0; index < 1000; index += 1) gate.reject(known);
    assert.equal(rejected.length, CALLER_REFUSALS_PER_SECOND);
  });

  test('lets one address drown no other', () => {
    const { gate, rejected } = open();
    for (let index = 0; index < 1000; index += 1) gate.reject(from('10.0.0.1'));
    gate.reject(from('10.0.0.2'));
    assert.equal(rejected.at(-1)?.origin.clientAddress, '10.0.0.2');
  });

  test('still answers what it does not record', () => {
    const { gate } = open();
    for (let index = 0; index < 50; index += 1) gate.reject(from('10.0.0.1'));
    assert.equal(gate.reject(from('10.0.0.1')).httpStatus, 401);
  });

  test('tells no more sources apart than its limit', () => {
    const { gate, rejected } = open();
    for (let index = 0; index < SOURCES_MAX + 500; index += 1) gate.reject(from(`10.0.${index}`));
    assert.equal(rejected.length, SOURCES_MAX + REFUSALS_PER_SECOND);
  });

  test('puts what is left on record when it is flushed', () => {
    const { gate, rejected } = open();
    for (let index = 0; index < 30; index += 1) gate.reject(from('10.0.0.1'));
    gate.flush();
    assert.deepEqual(rejected.at(-1)?.details, { count: 20, source: '10.0.0.1' });
    gate.flush();
    assert.equal(rejected.length, REFUSALS_PER_SECOND + 1);
  });

  test('drops unknown notifications of a server without asking the gate, beyond the same rate', async () => {
    const { gate, decided } = open();
    for (let index = 0; index < 5000; index += 1) await gate.decide(noise, origin('a'), 'to_client');
    assert.equal(decided(), REFUSALS_PER_SECOND);
  });

  test('lets a server that tells without end wait, and loses nothing of it', async () => {
    const { gate, pass, decided } = open();
    const news = message('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}');
    const told = Array.from({ length: PACE_PER_SECOND * 2 + 1 }, () =>
      gate.decide(news, origin('a'), 'to_client'),
    );
    await pass(0);
    assert.equal(decided(), PACE_PER_SECOND);
    // Another caller's server, and what it is asked itself, are not held up.
    await gate.decide(news, origin('b'), 'to_client');
    await gate.decide(call, origin('a'), 'to_upstream');
    assert.equal(decided(), PACE_PER_SECOND + 2);
    await pass(1000);
    assert.equal(decided(), PACE_PER_SECOND * 2 + 2);
    gate.flush();
    await pass(1000);
    await Promise.all(told);
    assert.equal(decided(), PACE_PER_SECOND * 2 + 3);
  });

  test('lets no progress wait: it is not recorded', async () => {
    const { gate, decided } = open();
    const progress = message('{"jsonrpc":"2.0","method":"notifications/progress"}');
    for (let index = 0; index <= PACE_PER_SECOND; index += 1) {
      await gate.decide(progress, origin('a'), 'to_client');
    }
    assert.equal(decided(), PACE_PER_SECOND + 1);
  });

  test('refuses a caller that takes more than its share of a spool that fills up, and nobody else', async () => {
    const { gate, clock, rejected } = open();
    clock.fullness = 0.6;
    await gate.decide(call, origin('quiet'), 'to_upstream');
    const rulings = [];
    for (let index = 0; index < 10; index += 1) {
      rulings.push((await gate.decide(call, origin('loud'), 'to_upstream')).forward);
    }
    assert.ok(rulings.includes(false));
    assert.equal(rejected[0]?.reason, 'limit');
    assert.equal((await gate.decide(call, origin('other'), 'to_upstream')).forward, true);
    clock.fullness = 0.1;
    assert.equal((await gate.decide(call, origin('loud'), 'to_upstream')).forward, true);
  });

  test('tells no more callers apart than its limit while the spool fills up: those after them have one share', async () => {
    const { gate, clock } = open();
    clock.fullness = 0.6;
    const from = async (name: string): Promise<boolean> =>
      (await gate.decide(call, origin(name), 'to_upstream')).forward;
    for (let index = 0; index < SOURCES_MAX; index += 1) assert.ok(await from(`known ${index}`));
    let passed = 0;
    while (passed < SOURCES_MAX && (await from(`late ${passed}`))) passed += 1;
    // A quarter of all is a third of what the others have.
    assert.equal(passed, Math.floor(SOURCES_MAX / 3));
    assert.ok(await from('known 0'));
  });

  test('counts no shares while there is room, nor where there is only one caller', async () => {
    const { gate, clock } = open();
    for (const fullness of [0.4, 0.9]) {
      clock.fullness = fullness;
      for (let index = 0; index < 10; index += 1) {
        assert.equal((await gate.decide(call, origin('only'), 'to_upstream')).forward, true);
      }
    }
  });
});

describe('what a server asks of its clients without end', () => {
  function hostile() {
    const { gate, scene } = openGate();
    const clock = { ms: 0 };
    const guarded = guardFloods(guardInputs(gate), {
      nowMs: () => clock.ms,
      later: () => assert.fail('nobody waits'),
      fullness: () => 0,
    });
    const ask = (method: string, over: Partial<Origin> = {}) =>
      guarded.decide(gateMessage(method), { ...anOrigin, ...over }, 'to_client');
    const reasons = () => scene.drafts.map(({ fields }) => fields['verdict.decision.reason']);
    return { ...scene, guarded, clock, ask, reasons };
  }

  test('is denied each time, and recorded one by one up to the rate, the rest as one count', async () => {
    const { guarded, ask, drafts, clock, reasons } = hostile();
    for (let index = 0; index < SERVER_REFUSALS_PER_SECOND; index += 1) {
      const { body } = answered(await ask('elicitation/create'));
      assert.equal(body['error']?.['data']?.['uid'], `uid-${index + 1}`);
    }
    for (let index = 0; index < 50; index += 1) {
      const { body } = answered(await ask('elicitation/create'));
      assert.match(String(body['error']?.['message']), /^Denied by policy/);
      assert.equal(body['error']?.['data']?.['uid'], '', 'it names a record that is not there');
    }
    assert.equal(drafts.length, SERVER_REFUSALS_PER_SECOND);
    clock.ms = 1000;
    guarded.flush();
    assert.equal(reasons().at(-1), 'limit');
    assert.partialDeepStrictEqual(drafts.at(-1)?.fields, {
      'verdict.server.name': 's',
      'verdict.decision.message':
        '50 more messages from server s (requests) were refused in a short time; they are recorded as this one.',
    });
    assert.equal(drafts.at(-1)?.fields['user.id'], undefined, 'no caller is to blame');
    await ask('elicitation/create');
    assert.equal(drafts.length, SERVER_REFUSALS_PER_SECOND + 2);
  });

  test('costs no other server its records, nor what is allowed its own', async () => {
    const { ask, drafts } = hostile();
    for (let index = 0; index < SERVER_REFUSALS_PER_SECOND + 10; index += 1) await ask('elicitation/create');
    assert.ok((await ask('sampling/createMessage')).forward);
    assert.equal(drafts.length, SERVER_REFUSALS_PER_SECOND + 1);
    await ask('elicitation/create', { server: { name: 'other' } });
    assert.equal(drafts.length, SERVER_REFUSALS_PER_SECOND + 2);
  });

  test('is bounded also where it stands within answers, whoever waits for those', async () => {
    const { guarded, drafts } = hostile();
    const text = JSON.stringify({
      jsonrpc: '2.0',
      id: 7,
      result: {
        resultType: 'input_required',
        inputRequests: { a: { method: 'elicitation/create', params: {} } },
      },
    });
    const bytes = Buffer.from(text);
    const read = readAnswer(bytes);
    assert.ok(read.kind === 'response');
    for (let index = 0; index < SERVER_REFUSALS_PER_SECOND + 10; index += 1) {
      const shown = await admitResponse(guarded, { ...read, bytes, asked: undefined }, anOrigin);
      assert.ok(shown.ok && !Buffer.from(shown.bytes).includes('inputRequests'));
    }
    assert.equal(drafts.length, SERVER_REFUSALS_PER_SECOND);
  });

  test('bounds nothing of what callers ask: each of their denials is on record', async () => {
    const { guarded, drafts } = hostile();
    for (let index = 0; index < SERVER_REFUSALS_PER_SECOND + 10; index += 1) {
      await guarded.decide(gateMessage('tools/call', { name: 'write' }), anOrigin, 'to_upstream');
    }
    assert.equal(drafts.length, SERVER_REFUSALS_PER_SECOND + 10);
  });
});
