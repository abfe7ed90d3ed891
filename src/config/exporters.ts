/** The part of verdict.yaml that says where records go. */
import { resolve } from 'node:path';
import type { ExporterPlan } from '../export/delivery-message.ts';
import type { FileSettings, Rotation } from '../export/file/file-exporter.ts';
import type { OtlpEndpoint } from '../export/honest-otlp.ts';
import type { DirectEntry, FileEntry, HttpEntry, Kind, SyslogEntry } from './exporter-schema.ts';
import { httpOf } from './http-exporter.ts';
import { parseBytes, parseDurationMs, timeoutOf } from './quantity.ts';
import type { ConfigFile, EndpointEntry, OtlpEntry } from './schema.ts';
import type { Assembly } from './spool.ts';
import { syslogOf } from './syslog-exporter.ts';

export const ROTATE_BYTES_MIN = 64 * 1024;
export const ROTATE_BYTES_MAX = 1024 ** 4;
export const ROTATE_MS_MIN = 60_000;
export const ROTATE_MS_MAX = 400 * 86_400_000;

const FORMAT_DEFAULT = 'json';

/** The exporters that the file names; undefined where it names none, and the environment alone decides. */
export function exportersOf(
  { exporters }: ConfigFile,
  assembly: Assembly,
): readonly ExporterPlan[] | undefined {
  if (exporters === undefined) return undefined;
  const plans = Object.entries(exporters).flatMap(([name, entry]) =>
    // The schema has checked each name's shape.
    name === 'otlp'
      ? otlpPlans(entry as OtlpEntry, assembly)
      : [directPlan(name, entry as DirectEntry, assembly)],
  );
  const seen = new Set<string>();
  for (const { name } of plans) {
    if (seen.has(name)) assembly.fault('/exporters', `two exporters have the name ${name}`);
    seen.add(name);
  }
  const writers = plans.filter(({ kind }) => kind === 'stdout').map(({ name }) => name);
  if (writers.length > 1)
    assembly.fault('/exporters', `two exporters write to stdout: ${writers.join(', ')}`);
  return plans.length === 0 ? undefined : plans;
}

function otlpPlans(otlp: OtlpEntry, assembly: Assembly): ExporterPlan[] {
  const { required = true, effects } = otlp;
  if (otlp.endpoints === undefined) return [{ name: 'otlp', kind: 'otlp', required, effects }];
  return Object.entries(otlp.endpoints).map(([name, entry]) => ({
    name,
    kind: 'otlp',
    required: entry.required ?? required,
    effects: entry.effects ?? effects,
    endpoint: endpointOf(name, entry, assembly),
  }));
}

function directPlan(name: string, entry: DirectEntry, assembly: Assembly): ExporterPlan {
  // A name that is no kind has one beside it (exporter-schema.ts).
  const kind = entry.kind ?? (name as Kind);
  const acknowledges = kind === 'file' || kind === 'http';
  if (!acknowledges && entry.required === true) {
    const text = `what is written to ${kind} is acknowledged by nobody, so it cannot be required`;
    assembly.fault(`/exporters/${name}/required`, text);
  }
  const common = { name, required: acknowledges && (entry.required ?? true), effects: entry.effects };
  // The schema has checked that each is of its kind.
  if (kind === 'file') return { ...common, kind, file: fileOf(name, entry as FileEntry, assembly) };
  if (kind === 'http') return { ...common, kind, http: httpOf(name, entry as HttpEntry, assembly) };
  if (kind === 'syslog') return { ...common, kind, syslog: syslogOf(name, entry as SyslogEntry, assembly) };
  return { ...common, kind, stdout: { format: entry.format ?? FORMAT_DEFAULT } };
}

function fileOf(name: string, entry: FileEntry, assembly: Assembly): FileSettings {
  const { path, format = FORMAT_DEFAULT } = entry;
  return { path: resolve(assembly.base, path), format, rotate: rotationOf(name, entry, assembly) };
}

function rotationOf(name: string, { rotate }: FileEntry, { fault }: Assembly): Rotation | undefined {
  if (rotate === undefined) return undefined;
  const pointer = `/exporters/${name}/rotate`;
  const bytes = rotate.max_bytes === undefined ? undefined : (parseBytes(rotate.max_bytes) ?? 0);
  if (bytes !== undefined && (bytes < ROTATE_BYTES_MIN || bytes > ROTATE_BYTES_MAX)) {
    fault(`${pointer}/max_bytes`, 'must be a size from 64KiB to 1TiB, for example 100MiB');
  }
  const everyMs = rotate.every === undefined ? undefined : (parseDurationMs(rotate.every) ?? 0);
  if (everyMs !== undefined && (everyMs < ROTATE_MS_MIN || everyMs > ROTATE_MS_MAX)) {
    fault(`${pointer}/every`, 'must be a time from 1m to 400d, for example 24h');
  }
  if (bytes === undefined && everyMs === undefined) {
    fault(pointer, 'needs max_bytes, every or both, which say when to rotate');
  }
  return { bytes, everyMs, keep: rotate.keep, compression: rotate.compression ?? 'gzip' };
}

function endpointOf(name: string, entry: EndpointEntry, { base, fault }: Assembly): OtlpEndpoint {
  const pointer = `/exporters/otlp/endpoints/${name}`;
  if (!URL.canParse(entry.url) || !/^https?:$/.test(new URL(entry.url).protocol)) {
    fault(
      `${pointer}/url`,
      'must be an http or https URL; it is used as it stands, with /v1/logs at its end',
    );
  }
  const timeoutMs = timeoutOf(`${pointer}/timeout`, entry.timeout, fault);
  const file = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(base, path);
  return {
    url: entry.url,
    protocol: entry.protocol,
    headers: entry.headers,
    timeoutMs,
    compression: entry.compression,
    certificate: file(entry.certificate),
    clientCertificate: file(entry.client_certificate),
    clientKey: file(entry.client_key),
  };
}
