/** Datadog's twin: an OTLP receiver that demands the key in `dd-api-key`, and nothing of what Datadog does behind it. */
import assert from 'node:assert/strict';
import { parseEventTime } from '../../../src/event/clock.ts';
import { startCollectorTwin, textOf } from './collector-twin.ts';
import type { Body, DestinationKind, Returned } from './destination.ts';

const API_KEY = '9d2c-dd';

/** Names that Datadog takes for something of its own (documentation, "Reserved attributes"). */
const RESERVED = ['host', 'source', 'status', 'service', 'trace_id', 'message', 'level', 'severity', 'date'];

export const datadog: DestinationKind = {
  name: 'datadog',
  config: 'destinations/datadog.yaml',
  strictConfig: 'strict/datadog.yaml',
  exporter: 'otlp_http/datadog',
  deletesOn: [400, 401],
  start: (dir) =>
    startCollectorTwin({
      dir,
      extensions: { 'bearertokenauth/datadog': { header: 'dd-api-key', scheme: '', token: API_KEY } },
      receivers: {
        otlp: {
          protocols: {
            http: {
              endpoint: '${env:COLLECTOR_HTTP_ENDPOINT}',
              auth: { authenticator: 'bearertokenauth/datadog' },
            },
          },
        },
      },
      env: (port) => ({ DD_OTLP_LOGS_URL: `http://127.0.0.1:${port}/v1/logs`, DD_API_KEY: API_KEY }),
      returned: ({ body, attributes, resource, ...log }) => ({
        body: textOf(body),
        fields: { ...log, attributes, resource },
      }),
    }),
  checkFields,
};

function checkFields({ fields }: Returned, body: Body): void {
  const { resource, attributes } = fields as Readonly<Record<'resource' | 'attributes', Body>>;
  assert.partialDeepStrictEqual(resource, {
    'service.name': body['service.name'],
    'datadog.log.source': 'mcp-verdict',
  });
  assert.equal(fields['severityNumber'], body['severity.number']);
  assert.equal(fields['traceId'], body['trace_id'] ?? '');
  assert.equal(fields['spanId'], body['span_id'] ?? '');
  const [seconds, nanoseconds] = parseEventTime(String(body['verdict.time']));
  assert.equal(fields['timeUnixNano'], BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
  for (const [key, value] of Object.entries(attributes)) assert.deepEqual(body[key], value, key);
  assert.equal(attributes['log.record.uid'], body['log.record.uid']);
  assert.deepEqual(
    Object.keys(attributes).filter((name) => RESERVED.includes(name)),
    [],
  );
}
