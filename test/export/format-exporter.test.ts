/**
 * Each format through each exporter, with a record of each kind: what arrives is, byte for byte, what the format makes.
 * So what judges say of a format's lines (test/format-judges) holds for what destinations get.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { ExportResultCode } from '@opentelemetry/core';
import { EVENT_NAMES } from '../../src/event/vocabulary.ts';
import type { ExporterPlan } from '../../src/export/delivery-message.ts';
import { makeExporter } from '../../src/export/make-exporter.ts';
import { originOf, SpooledLogRecord } from '../../src/export/spooled-log-record.ts';
import { createStdoutExporter } from '../../src/export/stdout-exporter.ts';
import { FORMATS } from '../../src/format/formats.ts';
import { ORIGIN, RECORDS } from '../format/samples.ts';
import { eventually } from '../support/eventually.ts';
import { startLineReceiver } from '../support/line-receiver.ts';
import { hear } from '../telemetry/heard.ts';
import { startSyslogServer } from './syslog/syslog-server.ts';

const origin = originOf({ ...ORIGIN, scope: { version: '', schemaUrl: '', ...ORIGIN.scope } });
const batch = RECORDS.map(({ record }) => new SpooledLogRecord(record.body, origin));

async function deliver(t: TestContext, exporter: ReturnType<typeof makeExporter>): Promise<void> {
  t.after(() => exporter.shutdown());
  const { code, error } = await new Promise<{ readonly code: number; readonly error?: Error }>((resolve) =>
    exporter.export(batch, resolve),
  );
  assert.equal(code, ExportResultCode.SUCCESS, error?.message);
}

type Kind = Exclude<ExporterPlan['kind'], 'otlp'>;

/** What arrives at the other end of an exporter, a text for each record. */
const ROUNDS: Readonly<Record<Kind, (t: TestContext, format: string) => Promise<readonly string[]>>> = {
  async file(t, format) {
    const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-format-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, 'out');
    await deliver(t, made({ name: 'x', kind: 'file', required: true, file: { path, format } }));
    return linesOf(readFileSync(path, 'utf8'));
  },
  async http(t, format) {
    const receiver = await startLineReceiver();
    t.after(receiver.close);
    const { url } = receiver;
    const http = {
      url,
      format,
      batch: 'lines',
      headers: {},
      compression: 'gzip',
      timeoutMs: 10_000,
    } as const;
    await deliver(t, made({ name: 'x', kind: 'http', required: true, http }));
    return receiver.lines;
  },
  async stdout(t, format) {
    let text = '';
    const open = () => ({
      write: async (bytes: Uint8Array) => void (text += Buffer.from(bytes).toString()),
      close: () => {},
    });
    await deliver(t, createStdoutExporter({ settings: { format }, open }));
    return linesOf(text);
  },
  async syslog(t, format) {
    const server = await startSyslogServer();
    t.after(() => server.close());
    const at = { host: '127.0.0.1', port: server.port, transport: 'tcp', facility: 'local0' } as const;
    const syslog = { ...at, format, timeoutMs: 10_000 };
    await deliver(t, made({ name: 'x', kind: 'syslog', required: false, syslog }));
    await eventually('all', () => server.messages.length === batch.length);
    return server.messages.map((message) => message.replace(/^.*? \[verdict@32473[^\]]*\] /s, ''));
  },
};

function made(plan: ExporterPlan) {
  return makeExporter(plan, { env: {}, diagnostics: hear().diagnostics, version: '1' });
}

function linesOf(text: string): string[] {
  return text.split('\n').slice(0, -1);
}

describe('every format through every exporter', () => {
  test('the records are of each kind that there is', () => {
    const kinds = new Set(RECORDS.map(({ record }) => record.content.eventName));
    assert.deepEqual([...kinds].toSorted(), [...EVENT_NAMES].toSorted());
  });

  for (const [kind, round] of Object.entries(ROUNDS)) {
    for (const format of FORMATS) {
      test(`${format.name} through ${kind} arrives as it was made`, async (t) => {
        const expected = RECORDS.map(({ record }) => format.encode(record));
        assert.deepEqual(await round(t, format.name), expected);
      });
    }
  }
});
