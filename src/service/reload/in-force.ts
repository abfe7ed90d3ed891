/**
 * Everything of `serve` that can change while it runs, as one value. A reload makes another and puts it in the place of
 * this one by one assignment, so that nobody ever sees half of a change.
 */
import type { ServeConfig } from '../../config.ts';
import { VerdictError } from '../../errors.ts';
import type { ApiKeys } from '../../identity/api-keys.ts';
import type { DoorSettings } from '../../proxy/http/door.ts';
import type { DoorTls } from '../../proxy/http/tls.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { callersOf, readCallers, readTls, type Callers } from '../callers.ts';
import { upstreamsOf } from '../client-credentials.ts';
import { readRules, ruleChanges, type ReadOptions, type Rules } from './rules.ts';
import { isSame } from './same.ts';

export interface InForce extends Sources {
  readonly callers: Callers;
  /** The same object as before where nothing of it has changed. */
  readonly door: DoorSettings;
}

/** What the files say. */
interface Sources extends Rules {
  readonly config: ServeConfig;
  readonly apiKeys: ApiKeys | undefined;
  readonly tls: DoorTls | undefined;
}

export interface InForceOptions extends ReadOptions {
  /** Told of what goes wrong later. */
  readonly diagnostics: Diagnostics;
  /** What is in force until then. What has not changed is taken over, with the keys and tokens that it holds. */
  readonly before?: InForce | undefined;
}

/** Reads what a configuration names. Throws where anything of it is wrong, or differs where it must not. */
export function readInForce(config: ServeConfig, options: InForceOptions): InForce {
  const { cwd, reading, diagnostics, before, read } = options;
  if (before !== undefined) checkFixed(before.config, config);
  const sources: Sources = {
    config,
    ...readRules(config, options),
    apiKeys: readCallers(config, cwd, reading, read),
    tls: readTls(config.tls, read),
  };
  if (before === undefined) {
    const callers = callersOf(config, sources.apiKeys, diagnostics);
    return Object.freeze({ ...sources, callers, door: doorOf(sources, callers, options) });
  }
  const changed = changesOf(before, sources);
  // The same object tells whoever compares that nothing has changed.
  const rules = { pinning: changed.includes('pins') ? sources.pinning : before.pinning };
  if (changed.every((part) => BEHIND_THE_DOOR.has(part))) {
    return Object.freeze({ ...before, ...sources, ...rules });
  }
  const callers = changed.some((part) => part.startsWith('identity.'))
    ? callersOf(config, sources.apiKeys, diagnostics, before.callers.keySets)
    : before.callers;
  return Object.freeze({ ...sources, ...rules, callers, door: doorOf(sources, callers, options) });
}

function doorOf(
  { config, tls }: Sources,
  { authenticate, resources }: Callers,
  { before, diagnostics }: InForceOptions,
): DoorSettings {
  const servers = new Map(upstreamsOf(config.servers, diagnostics));
  for (const [name, server] of before?.config.servers ?? []) {
    const kept = before?.door.servers.get(name);
    if (kept !== undefined && isSame(server, config.servers.get(name))) servers.set(name, kept);
  }
  return Object.freeze({
    servers,
    authenticate,
    resources,
    tls,
    messageLimits: config.messageBytesMax === undefined ? {} : { bytesMax: config.messageBytesMax },
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
  });
}

/** What a door is not told of. */
const BEHIND_THE_DOOR: ReadonlySet<string> = new Set(['policy', 'pins', 'denials']);

/** What differs of what can change, by its name in verdict.yaml. */
export function changesOf(before: Sources, next: Sources): readonly string[] {
  return [
    ...ruleChanges(before, next),
    ...(isSame(before.apiKeys, next.apiKeys) ? [] : [PARTS.apiKeysFile.name]),
    ...(isSame(before.tls, next.tls) ? [] : [PARTS.tls.name]),
    ...differing(before.config, next.config, 'reload'),
  ];
}

/**
 * Of each part of the configuration its name in verdict.yaml, and what a change of it takes. `contents`: it names files,
 * and what they hold is compared.
 */
const PARTS: Readonly<
  Record<keyof ServeConfig, { readonly name: string; readonly takes: 'reload' | 'restart' | 'contents' }>
> = {
  file: { name: '', takes: 'contents' },
  policyFiles: { name: 'policy', takes: 'contents' },
  pins: { name: 'pins', takes: 'contents' },
  apiKeysFile: { name: 'identity.api_keys', takes: 'contents' },
  tls: { name: 'tls', takes: 'contents' },
  servers: { name: 'servers', takes: 'reload' },
  jwtIssuers: { name: 'identity.jwt', takes: 'reload' },
  anonymous: { name: 'identity.anonymous', takes: 'reload' },
  certificateName: { name: 'identity.mtls', takes: 'reload' },
  allowedHosts: { name: 'allowed_hosts', takes: 'reload' },
  allowedOrigins: { name: 'allowed_origins', takes: 'reload' },
  messageBytesMax: { name: 'limits.message_bytes', takes: 'reload' },
  denials: { name: 'denials', takes: 'reload' },
  childLimits: { name: 'limits', takes: 'restart' },
  listen: { name: 'listen', takes: 'restart' },
  admin: { name: 'admin', takes: 'restart' },
  keysDirectory: { name: 'keys.directory', takes: 'restart' },
  killSwitchFile: { name: 'kill_switch', takes: 'restart' },
  exporters: { name: 'exporters', takes: 'restart' },
  spool: { name: 'spool', takes: 'restart' },
  onAuditFailure: { name: 'on_audit_failure', takes: 'restart' },
  shutdownTimeoutMs: { name: 'shutdown_timeout', takes: 'restart' },
  watchMs: { name: 'reload.watch', takes: 'restart' },
};

/** Throws `restart_needed` where something differs that a running process cannot change: half a change is none. */
function checkFixed(before: ServeConfig, next: ServeConfig): void {
  const parts = differing(before, next, 'restart');
  // Whether connections are opened in the clear, or with a certificate, is settled when the address is listened on.
  if ((before.tls === undefined) !== (next.tls === undefined)) parts.push('tls');
  else if ((before.tls?.clientCa === undefined) !== (next.tls?.clientCa === undefined))
    parts.push('tls.client_ca');
  if (parts.length > 0) throw new VerdictError('restart_needed', { parts: parts.join(', ') });
}

function differing(before: ServeConfig, next: ServeConfig, takes: 'reload' | 'restart'): string[] {
  const keys = Object.keys(PARTS) as (keyof ServeConfig)[];
  return keys
    .filter((key) => PARTS[key].takes === takes && !isSame(before[key], next[key]))
    .map((key) => PARTS[key].name);
}
