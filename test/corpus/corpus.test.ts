/** Every vector of the corpus through both doors: decided right, recorded, and nothing refused reaches the upstream. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ERRORS, errorRow, type ErrorCode } from '../../src/errors.ts';
import { CALLER_REFUSALS_PER_SECOND } from '../../src/proxy/flood-guard.ts';
import { checkChains } from '../support/chain.ts';
import { startOtlpReceiver, type LogItem, type OtlpReceiver } from '../support/otlp-receiver.ts';
import { openHttp, openStdio, type Door, type Passage } from './doors.ts';
import { readVectors, type RefusalReason, type Transport, type Vector } from './vectors.ts';

const CODES: Readonly<Record<RefusalReason, ErrorCode>> = {
  batch: 'parse_batch',
  content_type: 'content_type',
  depth: 'parse_depth',
  duplicate_key: 'parse_duplicate_key',
  envelope: 'parse_envelope',
  header_mismatch: 'header_mismatch',
  identity: 'identity_invalid',
  json: 'parse_json',
  params: 'parse_params',
  size: 'parse_size',
  unasked_response: 'response_unasked',
  utf8: 'parse_utf8',
};

const VECTORS = readVectors();
const OPENERS: Readonly<Record<Transport, typeof openHttp>> = { http: openHttp, stdio: openStdio };

test('no two vectors have one id, and each says where it comes from', () => {
  assert.equal(new Set(VECTORS.map(({ id }) => id)).size, VECTORS.length);
  for (const { id, source, transports, message } of VECTORS) {
    assert.ok(source.length > 0 && transports.length > 0 && message.length > 0, id);
  }
});

for (const transport of ['http', 'stdio'] as const) {
  const vectors = VECTORS.filter(({ transports }) => transports.includes(transport));
  describe(`the corpus over ${transport}`, () => {
    let directory: string;
    let receiver: OtlpReceiver;
    let door: Door;

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-corpus-'));
      receiver = await startOtlpReceiver();
      door = await OPENERS[transport]({ directory, collector: receiver.url });
    });

    after(async () => {
      await door?.close();
      await receiver?.close();
      rmSync(directory, { recursive: true, force: true });
    });

    const pace = belowRate(CALLER_REFUSALS_PER_SECOND / 2);
    for (const vector of vectors) {
      test(`${vector.id}: ${vector.what}`, async () => {
        await pace();
        checkPassage(vector, await door.pass(vector));
      });
    }

    test('each vector has one decision, which says what it was and keeps what must be kept', async () => {
      assert.equal((await door.proxy.stop()).code, 0, door.proxy.stderr());
      const logs = receiver.logs();
      assert.equal(checkChains(logs), 1);
      const decisions = betweenProbes(logs);
      assert.equal(decisions.length, vectors.length);
      const wrong: string[] = [];
      for (const [at, vector] of vectors.entries()) {
        try {
          checkRecords(vector, decisions[at] ?? [], door.proxy.stderr());
        } catch (error) {
          wrong.push(`${vector.id}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      assert.deepEqual(wrong, []);
    });
  });
}

/** Refusals beyond a rate are recorded as a count, and each vector is to have its own record. */
function belowRate(perSecond: number): () => Promise<void> {
  const startsMs: number[] = [];
  return async () => {
    const before = startsMs[startsMs.length - perSecond];
    if (before !== undefined) await pause(Math.max(0, before + 1000 - performance.now()));
    startsMs.push(performance.now());
  };
}

interface ReadAnswer {
  readonly result?: { readonly isError?: boolean };
  readonly error?: { readonly code: number };
}

function checkPassage({ expect, message }: Vector, passage: Passage): void {
  const { answers, arrivals, status, durationMs, headers } = passage;
  if (expect.is !== 'forwarded') assert.equal(arrivals.length, 0, 'the upstream has seen something');
  const silent = expect.is !== 'forwarded' && expect.silent === true;
  assert.equal(answers.length, silent ? 0 : 1, `answers: ${answers.join(' ').slice(0, 300)}`);
  const [text = '{}'] = answers;
  const answer = JSON.parse(text) as ReadAnswer;
  if (expect.is === 'forwarded') {
    assert.ok(answer.result !== undefined && answer.result.isError !== true, text.slice(0, 300));
    assert.equal(arrivals.length, 1);
    assert.ok(arrivals[0]?.body.equals(message), 'the bytes have changed on the way');
    for (const name of expect.headers_absent ?? []) {
      assert.equal(headers?.[name], undefined, `the upstream got ${name}`);
    }
  } else if (!silent) {
    assert.ok(answer.error !== undefined || answer.result?.isError === true, text.slice(0, 300));
  }
  if (expect.is === 'refused') {
    const row = errorRow(CODES[expect.reason]);
    if (!silent) assert.equal(answer.error?.code, row.rpc);
    if (status !== undefined) assert.equal(status, row.http);
  }
  if (expect.is === 'denied' && expect.within_ms !== undefined) assert.ok(durationMs < expect.within_ms);
}

/** Decisions other than the probes', each list before its probe. */
function betweenProbes(logs: readonly LogItem[]): LogItem[][] {
  const decisions = logs.filter(({ eventName }) => eventName === 'verdict.decision');
  const lists: LogItem[][] = [];
  let current: LogItem[] = [];
  for (const decision of decisions) {
    if (decision.attributes['gen_ai.tool.name'] !== 'probe') {
      current.push(decision);
      continue;
    }
    lists.push(current);
    current = [];
  }
  return lists;
}

function checkRecords(vector: Vector, decisions: readonly LogItem[], stderr: string): void {
  const { expect, records = {} } = vector;
  assert.equal(decisions.length, 1, `it has ${decisions.length} decisions`);
  const [decision] = decisions as [LogItem];
  const { attributes } = decision;
  const body = String(decision.body);
  assert.equal(attributes['verdict.decision.effect'], expect.is === 'forwarded' ? 'allow' : 'deny');
  if (expect.is === 'refused') {
    const reason = expect.reason === 'identity' ? 'identity_invalid' : 'parse';
    assert.equal(attributes['verdict.decision.reason'], reason);
    assert.match(String(attributes['verdict.decision.message']), sentenceOf(CODES[expect.reason]));
  } else {
    assert.equal(attributes['verdict.decision.reason'], expect.is === 'denied' ? expect.reason : 'rule');
    assert.equal(attributes['mcp.method.name'], expect.method);
    if (expect.tool !== undefined) assert.equal(attributes['gen_ai.tool.name'], expect.tool);
    if (expect.prompt !== undefined) assert.equal(attributes['gen_ai.prompt.name'], expect.prompt);
    if (expect.uri !== undefined) assert.equal(attributes['mcp.resource.uri'], expect.uri);
  }
  if (expect.is === 'forwarded' && expect.argument_names !== undefined) {
    const names = (attributes['verdict.arguments.keys'] ?? []) as readonly string[];
    assert.deepEqual(names.toSorted(), expect.argument_names.toSorted());
  }
  for (const text of records.absent ?? []) {
    assert.ok(!body.includes(text), `its record holds ${JSON.stringify(text)}`);
    assert.ok(!stderr.includes(text), `stderr holds ${JSON.stringify(text)}`);
  }
  for (const text of records.present ?? []) assert.ok(body.includes(text), `its record lacks ${text}`);
  const bytesMax = records.bytes_max ?? 65_536;
  assert.ok(Buffer.byteLength(body) <= bytesMax, `its record has ${Buffer.byteLength(body)} bytes`);
}

function sentenceOf(code: ErrorCode): RegExp {
  const literal = ERRORS[code].text.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replace(/\{\w+\}/g, '.*')}$`, 's');
}
