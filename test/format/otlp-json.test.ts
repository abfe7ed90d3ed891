import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer';
import { firstLink, stamp } from '../../src/event/stamp.ts';
import { originOf, SpooledLogRecord } from '../../src/export/spooled-log-record.ts';
import { otlpJsonFormat } from '../../src/format/otlp-json.ts';
import { formattedRecord } from '../../src/format/record.ts';
import { DECISION, LIFECYCLE, OUTCOME } from '../event/sample.ts';

const ORIGIN = {
  resource: { 'service.name': 'mcp-verdict', 'host.name': 'h' },
  scope: { name: 'mcp-verdict', version: '1.0.0', schemaUrl: 'https://schema.example/1' },
};

/** What the SDK's own serializer says, without what is zero and with 64-bit integers as strings. */
function serialized(body: string): unknown {
  const record = new SpooledLogRecord(body, originOf(ORIGIN));
  const bytes = JsonLogsSerializer.serializeRequest([record]) ?? new Uint8Array();
  return JSON.parse(Buffer.from(bytes).toString('utf8'), (key, value: unknown) => {
    if (key === 'droppedAttributesCount' || key === 'flags') return undefined;
    return key === 'intValue' ? String(value) : value;
  });
}

for (const [name, sample] of Object.entries({ DECISION, LIFECYCLE, OUTCOME })) {
  test(`says the same of a ${name.toLowerCase()} as the serializer behind the OTLP exporter`, () => {
    const { body } = stamp(firstLink('s'), sample);
    const later = `${body.slice(0, -1)},"later.int":7,"later.fraction":1.5,"later.list":[1,"a"],"later.yes":true}`;
    for (const each of [body, later]) {
      const line = otlpJsonFormat.encode(formattedRecord(each, ORIGIN));
      assert.ok(!line.includes('\n'));
      assert.deepEqual(JSON.parse(line), serialized(each));
    }
  });
}
