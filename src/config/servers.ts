/** The part of verdict.yaml that says which MCP servers stand behind us, and how each is reached. */
import { resolve } from 'node:path';
import type { BridgeLimits } from '../proxy/bridge/limits.ts';
import type { PinMode } from '../proxy/pins/pins.ts';
import type { ChildCommand } from '../proxy/stdio/child.ts';
import { headersOf } from './headers.ts';
import { OAUTH_SCHEMA, oauthClientOf, type OAuthClient, type OAuthEntry } from './oauth-client.ts';
import { PIN_SCHEMA } from './pins.ts';
import { parseDurationMs } from './quantity.ts';

const TEXT = { type: 'string', minLength: 1 } as const;

/** Of one server. That it has a url or a command, and nothing that goes with the other, is checked below. */
export const SERVER_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: {
    url: TEXT,
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    oauth: OAUTH_SCHEMA,
    command: TEXT,
    args: { type: 'array', items: { type: 'string' } },
    env: { type: 'object', additionalProperties: { type: 'string' } },
    cwd: TEXT,
    share: { enum: ['caller', 'all'] },
    pin: PIN_SCHEMA,
  },
} as const;

const COUNT = { type: 'integer', minimum: 1, maximum: 4096 } as const;

/** The limits of processes, among the others. */
export const CHILD_LIMITS_SCHEMA = {
  children: COUNT,
  children_per_server: COUNT,
  children_per_caller: COUNT,
  child_idle: { type: 'string' },
} as const;

/** After the schema has passed it. */
export interface ServerEntry {
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly oauth?: OAuthEntry;
  readonly command?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly share?: 'caller' | 'all';
  readonly pin?: PinMode;
}

export interface ChildLimitsEntry {
  readonly children?: number;
  readonly children_per_server?: number;
  readonly children_per_caller?: number;
  readonly child_idle?: string;
}

export type ServerConfig = HttpServerConfig | StdioServerConfig;

export interface HttpServerConfig {
  readonly kind: 'http';
  readonly name: string;
  readonly url: URL;
  /** Sent with every request to this server; may hold secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** How we get tokens for it; undefined: it has none of us. */
  readonly oauth: OAuthClient | undefined;
}

export interface StdioServerConfig {
  readonly kind: 'stdio';
  readonly name: string;
  /** Its environment may hold secrets. */
  readonly command: ChildCommand;
  /** Whose requests of the modern era go to one process. */
  readonly share: 'caller' | 'all';
}

type Fault = (pointer: string, message: string) => void;

interface Surroundings {
  /** Where the file stands: relative paths are relative to it. */
  readonly base: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fault: Fault;
}

export function serversOf(
  entries: Readonly<Record<string, ServerEntry>>,
  surroundings: Surroundings,
): ReadonlyMap<string, ServerConfig> {
  const servers = new Map<string, ServerConfig>();
  for (const [name, entry] of Object.entries(entries)) {
    const server = serverOf(name, entry, surroundings);
    if (server !== undefined) servers.set(name, server);
  }
  return servers;
}

const HTTP_KEYS = ['headers', 'oauth'] as const;
const STDIO_KEYS = ['args', 'env', 'cwd', 'share'] as const;

function serverOf(name: string, entry: ServerEntry, surroundings: Surroundings): ServerConfig | undefined {
  const { fault } = surroundings;
  const pointer = `/servers/${name}`;
  const { url, command } = entry;
  if ((url === undefined) === (command === undefined)) {
    fault(pointer, 'must have a url or a command, and not both');
    return undefined;
  }
  const foreign = url === undefined ? HTTP_KEYS : STDIO_KEYS;
  for (const key of foreign) {
    if (entry[key] !== undefined)
      fault(`${pointer}/${key}`, `goes with a ${url === undefined ? 'url' : 'command'} only`);
  }
  if (url !== undefined) return httpServer({ name, url, entry }, fault);
  return command === undefined ? undefined : stdioServer({ name, command, entry }, surroundings);
}

function httpServer(
  { name, url: text, entry }: { readonly name: string; readonly url: string; readonly entry: ServerEntry },
  fault: Fault,
): HttpServerConfig | undefined {
  const pointer = `/servers/${name}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    fault(`${pointer}/url`, 'must be an http or https URL');
    return undefined;
  }
  if (url.username !== '' || url.password !== '') {
    fault(`${pointer}/url`, 'must not hold credentials; put them in headers, from ${env:NAME}');
    return undefined;
  }
  const headers = headersOf(`${pointer}/headers`, entry.headers ?? {}, fault);
  return { kind: 'http', name, url, headers, oauth: oauthClientOf(pointer, entry.oauth, headers, fault) };
}

function stdioServer(
  { name, command, entry }: { readonly name: string; readonly command: string; readonly entry: ServerEntry },
  { base, env, fault }: Surroundings,
): StdioServerConfig {
  const pointer = `/servers/${name}`;
  const { args = [], cwd, share = 'caller' } = entry;
  for (const [key, value] of Object.entries({ command, cwd })) checkText(`${pointer}/${key}`, value, fault);
  for (const [at, value] of args.entries()) checkText(`${pointer}/args/${at}`, value, fault);
  for (const [key, value] of Object.entries(entry.env ?? {})) {
    const at = `${pointer}/env/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (!/^[^=\0]+$/.test(key)) fault(at, 'is not a name of an environment variable');
    checkText(at, value, fault);
  }
  return {
    kind: 'stdio',
    name,
    share,
    command: {
      // A bare name is looked for on the PATH; one with a slash is a path, and relative to this file like any other.
      command: command.includes('/') ? resolve(base, command) : command,
      args,
      env: { ...inherited(env), ...entry.env },
      cwd: cwd === undefined ? undefined : resolve(base, cwd),
    },
  };
}

/** No string of a process holds one: the system would take it for the end. */
function checkText(pointer: string, value: string | undefined, fault: Fault): void {
  if (value?.includes('\0') === true) fault(pointer, 'must not hold NUL');
}

/** What the official SDK's own client hands on to the servers that it starts. */
const INHERITED = ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER'] as const;

/** Of our environment what is no secret of ours and every program needs. */
function inherited(env: Surroundings['env']): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = env[name];
    // A function of a shell, which a shell would run.
    if (value !== undefined && !value.startsWith('()')) passed[name] = value;
  }
  return passed;
}

const CHILD_IDLE_MS_MIN = 1000;
const CHILD_IDLE_MS_MAX = 86_400_000;

export function childLimitsOf(entry: ChildLimitsEntry, fault: Fault): Partial<BridgeLimits> {
  const { children, children_per_server: ofServer, children_per_caller: ofCaller, child_idle: idle } = entry;
  const idleMs = idle === undefined ? undefined : parseDurationMs(idle);
  const isGood = idleMs !== undefined && idleMs >= CHILD_IDLE_MS_MIN && idleMs <= CHILD_IDLE_MS_MAX;
  if (idle !== undefined && !isGood)
    fault('/limits/child_idle', 'must be a time from 1s to 24h, for example 30m');
  return {
    ...(children !== undefined && { childrenMax: children }),
    ...(ofServer !== undefined && { serverChildrenMax: ofServer }),
    ...(ofCaller !== undefined && { callerChildrenMax: ofCaller }),
    ...(isGood && { childIdleMs: idleMs }),
  };
}
