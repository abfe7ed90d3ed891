/** Splunk's twin: the collector's own HEC receiver, which demands the token. What it returns is what a search would. */
import assert from 'node:assert/strict';
import { startCollectorTwin, textOf } from './collector-twin.ts';
import type { Body, DestinationKind, Returned } from './destination.ts';

const TOKEN = '3c1f7a52-hec';
const INDEX = 'mcp_audit_test';

const ACTIONS: Readonly<Record<string, string>> = {
  allow: 'allowed',
  deny: 'blocked',
  require_approval: 'deferred',
};

export const splunk: DestinationKind = {
  name: 'splunk',
  config: 'destinations/splunk.yaml',
  strictConfig: 'strict/splunk.yaml',
  exporter: 'splunk_hec/audit',
  deletesOn: [400, 401],
  start: (dir) =>
    startCollectorTwin({
      dir,
      extensions: { 'bearertokenauth/hec': { scheme: 'Splunk', token: TOKEN } },
      receivers: {
        splunk_hec: {
          endpoint: '${env:COLLECTOR_HTTP_ENDPOINT}',
          auth: { authenticator: 'bearertokenauth/hec' },
        },
      },
      env: (port) => ({
        SPLUNK_HEC_URL: `http://127.0.0.1:${port}/services/collector/event`,
        SPLUNK_HEC_TOKEN: TOKEN,
        SPLUNK_INDEX: INDEX,
      }),
      returned: ({ body, attributes, resource, timeUnixNano }) => ({
        body: textOf(body),
        fields: { ...resource, ...attributes, _time: timeUnixNano },
      }),
      // As a search's export gives events with `output_mode=json`, a line each.
      exported: (logs) =>
        logs.map(({ body }) => `${JSON.stringify({ preview: false, result: { _raw: body } })}\n`).join(''),
    }),
  checkFields,
};

function checkFields({ fields }: Returned, body: Body): void {
  const effect = body['verdict.decision.effect'];
  const outcome = body['verdict.outcome.status'];
  const tool = body['gen_ai.tool.name'];
  const expected = {
    // How the receiver names the metadata of an event.
    'com.splunk.index': INDEX,
    'com.splunk.source': 'mcp-verdict',
    'com.splunk.sourcetype': 'mcp:verdict',
    vendor_product: 'mcp-verdict',
    uid: body['log.record.uid'],
    stream: body['verdict.stream.id'],
    seq: body['verdict.stream.sequence'],
    vendor_action: effect,
    action: typeof effect === 'string' ? ACTIONS[effect] : undefined,
    user: body['user.id'],
    src: body['client.address'],
    dest: body['verdict.server.name'],
    signature_id: body['verdict.rule.id'],
    object: tool,
    object_category: tool === undefined ? undefined : 'mcp_tool',
    result: outcome ?? body['verdict.decision.reason'],
    status: statusOf(effect, outcome),
    'otel.log.name': body['event.name'],
    'otel.log.severity.number': body['severity.number'],
  };
  const found = Object.fromEntries(Object.keys(expected).map((name) => [name, fields[name]]));
  assert.deepEqual(found, expected);
  assert.ok(typeof fields['host.name'] === 'string' && fields['host.name'] !== '');
  // A name that stands in the event as well would have two values there.
  assert.deepEqual(
    Object.keys(fields).filter((name) => name !== 'host.name' && name in body),
    [],
  );
}

/** Of what waits for somebody nobody knows. */
function statusOf(effect: unknown, outcome: unknown): string | undefined {
  if (effect === 'allow' || outcome === 'ok') return 'success';
  return effect === 'deny' || outcome !== undefined ? 'failure' : undefined;
}
