/** Records as the processor hands them to an exporter. */
import type { ExportResult } from '@opentelemetry/core';
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { originOf, SpooledLogRecord } from '../../src/export/spooled-log-record.ts';
import { IDENTITY } from './memory-stream.ts';

const ORIGIN = originOf(IDENTITY);

export function recordsOf(bodies: readonly string[]): ReadableLogRecord[] {
  return bodies.map((body) => new SpooledLogRecord(body, ORIGIN));
}

export function send(exporter: LogRecordExporter, bodies: readonly string[]): Promise<ExportResult> {
  return new Promise((resolve) => exporter.export(recordsOf(bodies), resolve));
}
