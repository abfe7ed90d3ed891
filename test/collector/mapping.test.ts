/** What the collector makes of records on their way to Splunk and to Datadog, one record at a time. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { eventually, startCollector, type Collector } from '../support/collector.ts';
import { datadog } from '../support/fan-out/datadog.ts';
import type { Destination, DestinationKind, Returned } from '../support/fan-out/destination.ts';
import { splunk } from '../support/fan-out/splunk.ts';

const skip = skipWithoutCollector();

type Scalars = Readonly<Record<string, string | number | boolean>>;

interface Sent {
  readonly body: string;
  readonly attributes?: Scalars;
  readonly resource?: Scalars;
  readonly timeMs?: number;
}

function attributesOf(values: Scalars): unknown[] {
  return Object.entries(values).map(([key, value]) => {
    const kind = { string: 'stringValue', number: 'intValue', boolean: 'boolValue' }[
      typeof value as 'string'
    ];
    return { key, value: { [kind]: value } };
  });
}

/** A collector with one destination behind it; records are told apart by their bodies. */
function scene(kind: DestinationKind): { readonly arrives: (sent: Sent) => Promise<Returned['fields']> } {
  const root = mkdtempSync(join(tmpdir(), `mcp-verdict-${kind.name}-`));
  let destination: Destination;
  let collector: Collector;
  before(async () => {
    destination = await kind.start(join(root, 'twin'));
    const configs = ['base.yaml', kind.config];
    collector = await startCollector({ dir: join(root, 'collector'), configs, env: destination.env });
  });
  after(async () => {
    await collector?.kill();
    await destination?.close();
    rmSync(root, { recursive: true, force: true });
  });
  return {
    async arrives({ body, attributes = {}, resource = {}, timeMs = Date.now() }) {
      const record = {
        timeUnixNano: `${timeMs}000000`,
        severityNumber: 13,
        eventName: 'verdict.decision',
        traceId: '0af7651916cd43dd8448eb211c80319c',
        spanId: 'b7ad6b7169203331',
        body: { stringValue: body },
        attributes: attributesOf(attributes),
      };
      const request = {
        resourceLogs: [
          {
            resource: { attributes: attributesOf({ 'service.name': 's', 'host.name': 'h', ...resource }) },
            scopeLogs: [{ scope: { name: 'mcp-verdict' }, logRecords: [record] }],
          },
        ],
      };
      const response = await fetch(`${collector.httpEndpoint}/v1/logs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
      assert.equal(response.status, 200);
      const found = await eventually(
        async () => (await destination.read()).find((returned) => returned.body === body),
        { what: body },
      );
      return found.fields;
    },
  };
}

const OURS = { 'verdict.stream.id': 'stream', 'verdict.stream.sequence': 7, 'log.record.uid': 'uid' };

describe('on the way to Splunk', { skip, timeout: 60_000 }, () => {
  const { arrives } = scene(splunk);

  test('a sender cannot choose token, index, source or sourcetype', async () => {
    const chosen = {
      'com.splunk.hec.access_token': 'stolen',
      'com.splunk.index': 'elsewhere',
      'com.splunk.source': 'other',
      'com.splunk.sourcetype': 'other',
    };
    for (const where of ['resource', 'attributes'] as const) {
      // With a token of its own it would have been refused.
      const fields = await arrives({ body: `chosen by ${where}`, [where]: chosen });
      assert.partialDeepStrictEqual(fields, {
        'com.splunk.index': 'mcp_audit_test',
        'com.splunk.source': 'mcp-verdict',
        'com.splunk.sourcetype': 'mcp:verdict',
      });
      assert.ok(!JSON.stringify(Object.entries(fields).map(String)).includes('stolen'));
    }
  });

  for (const [effect, enforced, action, status] of [
    ['allow', true, 'allowed', 'success'],
    ['deny', true, 'blocked', 'failure'],
    ['require_approval', true, 'deferred', undefined],
    ['deny', false, 'allowed', 'success'],
  ] as const) {
    test(`${effect}${enforced ? '' : ' that was not enforced'} is ${action}`, async () => {
      const decision = { 'verdict.decision.effect': effect, 'verdict.decision.enforced': enforced };
      const fields = await arrives({
        body: `${effect} ${enforced}`,
        attributes: { ...OURS, ...decision, 'verdict.decision.reason': 'rule' },
      });
      assert.partialDeepStrictEqual(fields, { action, vendor_action: effect, result: 'rule' });
      assert.equal(fields['status'], status);
    });
  }

  for (const [outcome, status] of [
    ['ok', 'success'],
    ['tool_error', 'failure'],
    ['unknown', 'failure'],
  ] as const) {
    test(`a call that ended with ${outcome} is a ${status}`, async () => {
      const attributes = { ...OURS, 'verdict.outcome.status': outcome };
      const fields = await arrives({ body: `outcome ${outcome}`, attributes });
      assert.partialDeepStrictEqual(fields, { status, result: outcome });
      assert.equal(fields['action'], undefined);
    });
  }

  for (const [attribute, category] of [
    ['gen_ai.tool.name', 'mcp_tool'],
    ['gen_ai.prompt.name', 'mcp_prompt'],
    ['mcp.resource.uri', 'mcp_resource'],
  ] as const) {
    test(`${attribute} is an object of category ${category}`, async () => {
      const fields = await arrives({ body: category, attributes: { ...OURS, [attribute]: 'it' } });
      assert.partialDeepStrictEqual(fields, { object: 'it', object_category: category });
    });
  }

  test('only few fields are indexed, and none that the event has under the same name', async () => {
    const fields = await arrives({
      body: 'few',
      attributes: { ...OURS, 'verdict.server.name': 'files', 'gen_ai.tool.call.arguments': '{}' },
    });
    assert.deepEqual(Object.keys(fields).toSorted(), [
      '_time',
      'com.splunk.index',
      'com.splunk.source',
      'com.splunk.sourcetype',
      'dest',
      'host.name',
      'otel.log.name',
      'otel.log.severity.number',
      'seq',
      'stream',
      'uid',
      'vendor_product',
    ]);
  });

  test('a record of somebody else goes through with its own attributes', async () => {
    const fields = await arrives({ body: 'somebody else', attributes: { colour: 'red' } });
    assert.partialDeepStrictEqual(fields, { colour: 'red', 'service.name': 's' });
  });
});

describe('on the way to Datadog', { skip, timeout: 60_000 }, () => {
  const { arrives } = scene(datadog);
  const HOUR_MS = 3_600_000;

  test('a record of 16 hours keeps its time', async () => {
    const timeMs = Date.now() - 16 * HOUR_MS;
    const { timeUnixNano } = await arrives({ body: 'young', timeMs });
    assert.equal(timeUnixNano, BigInt(timeMs) * 1_000_000n);
  });

  test('a record that Datadog would throw away for its age comes under the time of its sending, and tells its own', async () => {
    const before = BigInt(Date.now());
    const attributes = { ...OURS, 'verdict.time': '2026-01-01T00:00:00.000000000Z' };
    const fields = await arrives({ body: 'old', attributes, timeMs: Date.parse('2026-01-01T00:00:00Z') });
    assert.ok(BigInt(String(fields['timeUnixNano'])) >= before * 1_000_000n);
    assert.partialDeepStrictEqual(fields, { attributes });
  });
});
