/** The parts of verdict.yaml that say how records are kept and where they go. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ExporterPlan } from '../export/delivery-message.ts';
import type { OtlpEndpoint } from '../export/honest-otlp.ts';
import { KEEP_MS_DEFAULT, SPOOL_BYTES_DEFAULT } from '../spool/retention.ts';
import { parseBytes, parseDurationMs } from './quantity.ts';
import type { ConfigFile, EndpointEntry } from './schema.ts';

export interface SpoolConfig {
  /** `none`: the SDK's batch processor, best effort. */
  readonly durability: 'sync' | 'os' | 'none';
  readonly directory: string;
  readonly bytesMax: number;
  readonly keepMs: number;
}

export const SPOOL_BYTES_MIN = 64 * 1024 ** 2;
export const SPOOL_BYTES_MAX = 64 * 1024 ** 4;
export const KEEP_MS_MAX = 400 * 86_400_000;
export const EXPORT_TIMEOUT_MS_MAX = 300_000;

/** Where state lives unless told otherwise: the user's state directory, or the system's for root. */
export function stateDirectory(env: Readonly<Record<string, string | undefined>>): string {
  const state = env['XDG_STATE_HOME'];
  if (state !== undefined && state !== '') return join(state, 'mcp-verdict');
  if (process.getuid?.() === 0) return '/var/lib/mcp-verdict';
  return join(homedir(), '.local', 'state', 'mcp-verdict');
}

export function defaultSpool(env: Readonly<Record<string, string | undefined>>): SpoolConfig {
  return {
    durability: 'sync',
    directory: join(stateDirectory(env), 'spool'),
    bytesMax: SPOOL_BYTES_DEFAULT,
    keepMs: KEEP_MS_DEFAULT,
  };
}

export interface SpoolAssembly {
  readonly base: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fault: (pointer: string, message: string) => void;
}

export function spoolOf({ spool = {} }: ConfigFile, { base, env, fault }: SpoolAssembly): SpoolConfig {
  const fallback = defaultSpool(env);
  const bytesMax = spool.max_bytes === undefined ? fallback.bytesMax : parseBytes(spool.max_bytes);
  if (bytesMax === undefined || bytesMax < SPOOL_BYTES_MIN || bytesMax > SPOOL_BYTES_MAX) {
    fault('/spool/max_bytes', 'must be a size from 64MiB to 64TiB, for example 10GiB');
  }
  const keepMs = spool.keep === undefined ? fallback.keepMs : parseDurationMs(spool.keep);
  if (keepMs === undefined || keepMs > KEEP_MS_MAX) {
    fault('/spool/keep', 'must be a time up to 400d, for example 72h');
  }
  return {
    durability: spool.durability ?? fallback.durability,
    directory: spool.directory === undefined ? fallback.directory : resolve(base, spool.directory),
    bytesMax: bytesMax ?? fallback.bytesMax,
    keepMs: keepMs ?? fallback.keepMs,
  };
}

/** The exporters that the file names; undefined where it names none, and the environment alone decides. */
export function exportersOf(
  { exporters }: ConfigFile,
  assembly: SpoolAssembly,
): readonly ExporterPlan[] | undefined {
  const otlp = exporters?.otlp;
  if (otlp === undefined) return undefined;
  const required = otlp.required ?? true;
  if (otlp.endpoints === undefined) return [{ name: 'otlp', kind: 'otlp', required }];
  return Object.entries(otlp.endpoints).map(([name, entry]) => ({
    name,
    kind: 'otlp',
    required: entry.required ?? required,
    endpoint: endpointOf(name, entry, assembly),
  }));
}

function endpointOf(name: string, entry: EndpointEntry, { base, fault }: SpoolAssembly): OtlpEndpoint {
  const pointer = `/exporters/otlp/endpoints/${name}`;
  if (!URL.canParse(entry.url) || !/^https?:$/.test(new URL(entry.url).protocol)) {
    fault(
      `${pointer}/url`,
      'must be an http or https URL; it is used as it stands, with /v1/logs at its end',
    );
  }
  const timeoutMs = entry.timeout === undefined ? undefined : parseDurationMs(entry.timeout);
  if (
    entry.timeout !== undefined &&
    (timeoutMs === undefined || timeoutMs === 0 || timeoutMs > EXPORT_TIMEOUT_MS_MAX)
  ) {
    fault(`${pointer}/timeout`, 'must be a time up to 300s, for example 10s');
  }
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
