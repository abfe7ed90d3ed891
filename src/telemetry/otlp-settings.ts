/**
 * The OTEL_EXPORTER_OTLP_* variables, checked before the SDK's exporters read them: what they would only warn of,
 * or fail at much later, is refused here (OTel specification, OTLP exporter).
 */
import { readFileSync } from 'node:fs';
import { VerdictError } from '../errors.ts';
import type { Diagnostics } from './diagnostics.ts';
import { readFlag, readText } from './environment.ts';
import type { Environment } from './environment.ts';

export type Signal = 'LOGS' | 'TRACES' | 'METRICS';

export const PROTOCOLS = ['http/json', 'http/protobuf'] as const;

export type Protocol = (typeof PROTOCOLS)[number];

export interface OtlpSettings {
  readonly signal: Signal;
  readonly protocol: Protocol;
  /** Where the exporter sends to. May hold credentials. */
  readonly url: string;
  /** The same without userinfo, query and fragment: for people to read. */
  readonly endpoint: string;
}

const URL_DEFAULT = 'http://localhost:4318';

/** Whether an endpoint is set that serves this signal. */
export function hasEndpoint(env: Environment, signal: Signal): boolean {
  return valueOf(env, signal, 'ENDPOINT') !== undefined;
}

/** Whether spans or metrics are to be exported: an endpoint is set, and nothing turns them off. */
export function isExported(
  env: Environment,
  signal: 'TRACES' | 'METRICS',
  diagnostics: Diagnostics,
): boolean {
  if (readFlag(env, 'OTEL_SDK_DISABLED') || !hasEndpoint(env, signal)) return false;
  const variable = `OTEL_${signal}_EXPORTER`;
  const chosen = (readText(env, variable) ?? 'otlp').split(',').map((name) => name.trim());
  const others = chosen.filter((name) => name !== 'otlp' && name !== 'none');
  if (others.length > 0)
    diagnostics.warn(`${variable} takes otlp or none here, so the rest of it is ignored`);
  return chosen.includes('otlp');
}

/** @throws VerdictError config_invalid, naming the variable and what it takes */
export function readOtlpSettings(env: Environment, signal: Signal, diagnostics: Diagnostics): OtlpSettings {
  const protocol = readProtocol(env, signal);
  const url = readUrl(env, signal);
  checkCertificates(env, signal);
  warnOfHeaders(env, signal, diagnostics);
  return { signal, protocol, url: url.href, endpoint: `${url.origin}${url.pathname}` };
}

function readProtocol(env: Environment, signal: Signal): Protocol {
  const setting = valueOf(env, signal, 'PROTOCOL');
  if (setting === undefined) return 'http/json';
  const protocol = PROTOCOLS.find((name) => name === setting.value);
  if (protocol !== undefined) return protocol;
  const choices = `set it to ${PROTOCOLS.join(' or ')}`;
  throw invalid(
    setting.value === 'grpc'
      ? `${setting.variable}=grpc is not supported: ${choices}, and use the collector's port for it, which is 4318`
      : `${setting.variable}=${setting.value} is not a protocol: ${choices}`,
  );
}

function readUrl(env: Environment, signal: Signal): URL {
  const setting = valueOf(env, signal, 'ENDPOINT');
  const base = setting?.value ?? URL_DEFAULT;
  const specific = setting?.variable === `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`;
  const text = specific ? base : `${base.replace(/\/$/, '')}/v1/${signal.toLowerCase()}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw invalid(`${setting?.variable} must be an http or https URL, such as ${URL_DEFAULT}`);
}

function checkCertificates(env: Environment, signal: Signal): void {
  checkPem(valueOf(env, signal, 'CERTIFICATE'));
  const certificate = valueOf(env, signal, 'CLIENT_CERTIFICATE');
  const key = valueOf(env, signal, 'CLIENT_KEY');
  checkPem(certificate);
  checkPem(key);
  if ((certificate === undefined) !== (key === undefined)) {
    throw invalid(
      `${(certificate ?? key)?.variable} is set alone: a client certificate and its key go together ` +
        '(OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_KEY)',
    );
  }
}

function checkPem(setting: Setting | undefined): void {
  if (setting === undefined) return;
  const { variable, value } = setting;
  let pem: string;
  try {
    pem = readFileSync(value, 'utf8');
  } catch (error) {
    throw invalid(`${variable} names ${value}, which cannot be read`, error);
  }
  if (!pem.includes('-----BEGIN ')) throw invalid(`${variable} names ${value}, which is not a PEM file`);
}

/** A malformed pair is skipped by the SDK without a word; its text may be a secret, so only its place is said. */
function warnOfHeaders(env: Environment, signal: Signal, diagnostics: Diagnostics): void {
  for (const variable of [`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_${signal}_HEADERS`]) {
    for (const [index, pair] of (readText(env, variable) ?? '').split(',').entries()) {
      if (pair.trim() === '' || isPair(pair)) continue;
      diagnostics.warn(
        `${variable}: entry ${index + 1} is not NAME=VALUE with a percent-encoded value, so it is ignored`,
      );
    }
  }
}

function isPair(pair: string): boolean {
  const [text = ''] = pair.split(';');
  try {
    return /^\s*[^=\s]+\s*=\s*\S/.test(decodeURIComponent(text));
  } catch {
    return false;
  }
}

interface Setting {
  readonly variable: string;
  readonly value: string;
}

/** The signal's own variable goes before the one for all signals. */
function valueOf(env: Environment, signal: Signal, name: string): Setting | undefined {
  for (const variable of [`OTEL_EXPORTER_OTLP_${signal}_${name}`, `OTEL_EXPORTER_OTLP_${name}`]) {
    const value = readText(env, variable);
    if (value !== undefined) return { variable, value };
  }
  return undefined;
}

function invalid(detail: string, cause?: unknown): VerdictError {
  return new VerdictError('config_invalid', { detail }, { cause });
}
