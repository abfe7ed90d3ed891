/** Loki's twin: VictoriaLogs, over the same protocol and behind the same authorization, with other names and limits. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { basicAuthorization, startVictoriaLogs, VICTORIA_LOGS_USER, type Row } from '../victoria-logs.ts';
import type { Body, Destination, DestinationKind, Returned } from './destination.ts';
import { startFaultFront } from './fault-front.ts';

export const loki: DestinationKind = {
  name: 'loki',
  config: 'destinations/loki.yaml',
  strictConfig: 'strict/loki.yaml',
  exporter: 'otlp_http/loki',
  deletesOn: [400, 401],
  start,
  checkFields,
};

async function start(dir: string): Promise<Destination> {
  const store = await startVictoriaLogs(dir);
  const front = await startFaultFront(store.port);
  const rows = (): Promise<readonly Row[]> => store.query('*');
  return {
    env: {
      // Where Loki has /otlp.
      LOKI_ENDPOINT: `http://127.0.0.1:${front.port}/insert/opentelemetry`,
      LOKI_AUTHORIZATION: basicAuthorization(VICTORIA_LOGS_USER),
      LOKI_TENANT: 'audit',
    },
    front,
    read: async () => (await rows()).map(({ _msg: body = '', ...fields }) => ({ body, fields })),
    // The lines, as `logcli --output=raw` prints them.
    async exportTo(exported) {
      const file = join(exported, 'lines.txt');
      writeFileSync(file, (await rows()).map((row) => `${row['_msg']}\n`).join(''));
      return [file];
    },
    async restart() {
      await store.stop();
      await store.start();
    },
    async close() {
      await Promise.all([front.close(), store.kill()]);
    },
  };
}

/** In the body and not beside it: what only the body has, and what loki.yaml takes away. */
const BODY_ONLY = [
  'event.name',
  'severity.number',
  'trace_id',
  'span_id',
  'verdict.schema.version',
  'gen_ai.tool.call.arguments',
  'verdict.arguments.keys',
  'verdict.arguments.redacted',
];

/** Beside the body: what the protocol has, and the twin's own. */
const PROTOCOL = ['event_name', 'severity_number', 'severity_text', 'trace_id', 'span_id'];

function checkFields({ fields }: Returned, body: Body): void {
  const { _time: time, _stream: labels, _stream_id: _, 'delivery.lag_seconds': lag, ...row } = fields;
  assert.ok(Number(lag) >= 0, `a lag of ${String(lag)} seconds`);
  // Nanoseconds, of which the twin leaves out the zeros at the end.
  assert.equal(time, String(body['verdict.time']).replace(/\.?0+Z$/, 'Z'));
  assert.equal(row['event_name'], body['event.name']);
  assert.equal(row['severity_number'], String(body['severity.number']));
  assert.equal(row['trace_id'], body['trace_id']);
  assert.equal(row['span_id'], body['span_id']);
  // The labels that Loki takes of itself; the rest is beside the line.
  for (const name of ['service.name', 'service.instance.id'])
    assert.ok(
      String(labels).includes(`${name}="${String(body[name])}"`),
      `no label ${name} in ${String(labels)}`,
    );
  const expected = Object.entries(body)
    .filter(([name]) => !BODY_ONLY.includes(name))
    .map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]);
  const own = Object.entries(row).filter(
    ([name]) =>
      !PROTOCOL.includes(name) && !/^(?:scope|host|process|telemetry)\.|^service\.version$/.test(name),
  );
  assert.deepEqual(Object.fromEntries(own), Object.fromEntries(expected));
  // Loki writes every dot as an underscore.
  const names = Object.keys(row).map((name) => name.replaceAll(/[^A-Za-z0-9]/g, '_'));
  assert.equal(new Set(names).size, names.length, `two names are one in Loki: ${names.join(', ')}`);
}
