/**
 * verdict.yaml and the environment, read into one frozen value. Every fault is found before anything listens.
 *
 * `${env:NAME}` is resolved in scalars after the YAML has been parsed, so that a value can never change the
 * file's structure.
 */
import { dirname, resolve } from 'node:path';
import { formatFault, readDocument, type Fault } from './document.ts';
import { VerdictError } from './errors.ts';
import { parseDurationMs } from './config/quantity.ts';
import { CONFIG_SCHEMA, type ConfigFile } from './config/schema.ts';
import { resolveReferences } from './config/env-reference.ts';
import { exportersOf } from './config/exporters.ts';
import { issuersOf } from './config/identity.ts';
import { pinsOf, type PinsConfig } from './config/pins.ts';
import { childLimitsOf, serversOf, type ServerConfig } from './config/servers.ts';
import { tlsOf, type TlsPart } from './config/tls.ts';
import { watchOf } from './config/reload.ts';
import { defaultKeysDirectory, defaultKillSwitchFile } from './config/places.ts';
import { spoolOf, type SpoolConfig } from './config/spool.ts';
import { readTextFile, type ReadText } from './config/text-file.ts';
import type { ExporterPlan } from './export/delivery-message.ts';
import type { JwtIssuer } from './identity/jwt.ts';
import type { DenialStyle } from './policy/verdict.ts';
import type { BridgeLimits } from './proxy/bridge/limits.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export type { ServerConfig } from './config/servers.ts';

export interface ServeConfig extends TlsPart {
  readonly file: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly policyFiles: readonly string[];
  readonly servers: ReadonlyMap<string, ServerConfig>;
  readonly pins: PinsConfig;
  /** Of the processes that stdio servers run as. */
  readonly childLimits: Partial<BridgeLimits>;
  readonly apiKeysFile: string | undefined;
  /** Whose tokens are accepted. */
  readonly jwtIssuers: readonly JwtIssuer[];
  readonly anonymous: 'allow' | 'deny';
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly keysDirectory: string;
  readonly killSwitchFile: string;
  /** undefined where the file names none: the environment alone decides. */
  readonly exporters: readonly ExporterPlan[] | undefined;
  readonly spool: SpoolConfig;
  /** How denials are told whose rule does not say. */
  readonly denials: DenialStyle;
  readonly onAuditFailure: 'deny' | 'allow';
  /** Where /healthz and /readyz are served; undefined: nowhere. */
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  readonly messageBytesMax: number | undefined;
  readonly shutdownTimeoutMs: number;
  /** How often its files are looked at. */
  readonly watchMs: number | 'off';
}

export const SHUTDOWN_TIMEOUT_MS = 10_000;
export const SHUTDOWN_TIMEOUT_MS_MAX = 300_000;

/** Reads and checks verdict.yaml. Throws `config_invalid` with every fault, one a line, or `file_unreadable`. */
export function loadServeConfig(file: string, env: Environment, read: ReadText = readTextFile): ServeConfig {
  const document = readDocument({ file, text: read(file), schema: CONFIG_SCHEMA });
  if (!document.ok) throw invalid(document.faults);
  const faults: Fault[] = [];
  const fault = (pointer: string, message: string): void => {
    faults.push({ file, ...document.locate(pointer), message });
  };
  // The schema has checked this shape.
  const raw = resolveEnv(document.value, env, '', fault) as ConfigFile;
  const config = faults.length > 0 ? undefined : assemble(raw, { file, env, fault });
  if (config === undefined || faults.length > 0) throw invalid(faults);
  return config;
}

/** Splits `host:port`; IPv6 in brackets. Undefined where it is not of that form. */
export function parseListen(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2] ?? '', port };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

interface Assembly {
  readonly file: string;
  readonly env: Environment;
  readonly fault: (pointer: string, message: string) => void;
}

function assemble(raw: ConfigFile, { file, env, fault }: Assembly): ServeConfig | undefined {
  const base = dirname(resolve(file));
  const listen = parseListen(raw.listen ?? '127.0.0.1:8080');
  if (listen === undefined) {
    fault('/listen', 'must be HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080');
    return undefined;
  }
  const anonymous = raw.identity?.anonymous ?? 'deny';
  checkReach(raw, listen.host, fault);
  return Object.freeze({
    file,
    listen,
    policyFiles: raw.policy.map((path) => resolve(base, path)),
    pins: pinsOf(raw, base),
    servers: serversOf(raw.servers, { base, env, fault }),
    childLimits: childLimitsOf(raw.limits ?? {}, fault),
    apiKeysFile: raw.identity?.api_keys === undefined ? undefined : resolve(base, raw.identity.api_keys),
    jwtIssuers: issuersOf(raw.identity ?? {}, fault),
    ...tlsOf(raw, base, fault),
    anonymous,
    allowedHosts: raw.allowed_hosts ?? [],
    allowedOrigins: raw.allowed_origins ?? [],
    keysDirectory: keysDirectoryOf(raw, base, env),
    killSwitchFile: killSwitchFileOf(raw, base, env),
    messageBytesMax: raw.limits?.message_bytes,
    shutdownTimeoutMs: shutdownTimeoutOf(raw, fault),
    watchMs: watchOf(raw.reload ?? {}, fault),
    exporters: exportersOf(raw, { base, env, fault }),
    spool: spoolOf(raw, { base, env, fault }),
    denials: raw.denials ?? 'explained',
    onAuditFailure: raw.on_audit_failure ?? 'deny',
    admin: adminOf(raw, fault),
  });
}

function keysDirectoryOf({ keys }: ConfigFile, base: string, env: Environment): string {
  return keys?.directory === undefined ? defaultKeysDirectory(env) : resolve(base, keys.directory);
}

function killSwitchFileOf({ kill_switch: file }: ConfigFile, base: string, env: Environment): string {
  return file === undefined ? defaultKillSwitchFile(env) : resolve(base, file);
}

function shutdownTimeoutOf(raw: ConfigFile, fault: Assembly['fault']): number {
  if (raw.shutdown_timeout === undefined) return SHUTDOWN_TIMEOUT_MS;
  const ms = parseDurationMs(raw.shutdown_timeout);
  if (ms === undefined || ms > SHUTDOWN_TIMEOUT_MS_MAX) {
    fault('/shutdown_timeout', 'must be a time up to 300s, for example 10s');
  }
  return ms ?? SHUTDOWN_TIMEOUT_MS;
}

function adminOf(raw: ConfigFile, fault: Assembly['fault']): ServeConfig['admin'] {
  if (raw.admin === undefined) return undefined;
  const listen = parseListen(raw.admin.listen);
  if (listen === undefined) fault('/admin/listen', 'must be HOST:PORT, for example 127.0.0.1:9464');
  else if (!isLoopback(listen.host) && raw.insecure !== true) {
    fault('/admin/listen', `${listen.host} can be reached from outside; it needs "insecure: true"`);
  }
  return listen;
}

/** Who can reach us, and who is let in: what is convenient on loopback is refused off it. */
function checkReach(raw: ConfigFile, host: string, fault: Assembly['fault']): void {
  const anonymous = raw.identity?.anonymous ?? 'deny';
  if (!isLoopback(host) && raw.insecure !== true && raw.tls === undefined) {
    fault(
      '/listen',
      `${host} can be reached from outside without TLS; put tls beside it, or "insecure: true" if a TLS terminator stands in front`,
    );
  }
  // Off loopback the Host header is all that tells our name from one that an attacker's DNS points at us.
  if (!isLoopback(host) && (raw.allowed_hosts ?? []).length === 0) {
    fault('/listen', `${host} needs allowed_hosts beside it: the HOST or HOST:PORT that callers use`);
  }
  if (anonymous === 'allow' && !isLoopback(host)) {
    fault('/identity/anonymous', 'anonymous callers are only served on a loopback address');
  }
  checkEntry(raw, fault);
}

function checkEntry(raw: ConfigFile, fault: Assembly['fault']): void {
  const named = [raw.identity?.api_keys, raw.identity?.jwt, raw.tls?.client_ca];
  if (raw.identity?.anonymous !== 'allow' && named.every((source) => source === undefined)) {
    fault(
      '/identity',
      'nobody could get in: name a keys file as identity.api_keys, token issuers as identity.jwt, an authority as tls.client_ca, or set identity.anonymous to allow',
    );
  }
}

function resolveEnv(value: unknown, env: Environment, pointer: string, fault: Assembly['fault']): unknown {
  if (typeof value === 'string') {
    return resolveReferences(value, env, (message) => fault(pointer, message));
  }
  if (Array.isArray(value))
    return value.map((item, index) => resolveEnv(item, env, `${pointer}/${index}`, fault));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        key,
        resolveEnv(item, env, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, fault),
      ]),
    );
  }
  return value;
}

function invalid(faults: readonly Fault[]): VerdictError {
  return new VerdictError('config_invalid', { detail: faults.map(formatFault).join('\n') });
}
