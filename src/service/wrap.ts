/** Composes `wrap`: the core, and a stdio door in front of one server. */
import type { Environment } from '../config.ts';
import type { PinsConfig } from '../config/pins.ts';
import { VerdictError } from '../errors.ts';
import type { Claimed } from '../identity/identity.ts';
import type { DenialStyle } from '../policy/verdict.ts';
import { stdioIdentity } from '../identity/stdio.ts';
import { openRemotePeer } from '../proxy/bridge/remote/peer.ts';
import type { Origin } from '../proxy/gate.ts';
import { type HttpUpstream, serverFacts } from '../proxy/http/upstream.ts';
import { schedule } from '../proxy/stdio/child.ts';
import { openChildPeer } from '../proxy/stdio/child-peer.ts';
import { runStdioDoor } from '../proxy/stdio/door.ts';
import type { Peer, PeerEnd } from '../proxy/stdio/peer.ts';
import { startCore, type CoreOptions } from './core.ts';
import { startReloading } from './reload/reload.ts';
import { readRules, ruleChanges } from './reload/rules.ts';

/** What is wrapped. */
export type WrapTarget =
  | { readonly kind: 'command'; readonly command: string; readonly args: readonly string[] }
  /** Headers go with every request, and may hold secrets. */
  | { readonly kind: 'url'; readonly url: URL; readonly headers: Readonly<Record<string, string>> };

export interface WrapOptions extends Omit<CoreOptions, 'policy' | 'pinning' | 'denials' | 'changing'> {
  readonly policyFiles: readonly string[];
  readonly pins: PinsConfig;
  readonly denials: DenialStyle;
  /** How often these files are looked at. */
  readonly watchMs: number | 'off';
  readonly cwd: string;
  /** What the policy calls the wrapped server. */
  readonly server: string;
  readonly agent: string | undefined;
  readonly target: WrapTarget;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly childEnv: Environment;
  readonly shutdownTimeoutMs: number;
  readonly signal: AbortSignal;
  /** As `signal`, for a second one. */
  readonly hurry: AbortSignal;
}

/** Between an MCP client and its server stdout is the wire: a record there would be a broken message. */
function checkStdout({ exporters }: WrapOptions): void {
  const writer = exporters?.find(({ kind }) => kind === 'stdout');
  if (writer === undefined) return;
  const detail = `the exporter ${writer.name} writes to stdout, which wrap speaks to the client over: use file, http, syslog or otlp instead`;
  throw new VerdictError('config_invalid', { detail });
}

/** Runs `wrap` until the wrapped server has ended, or the client has. */
export async function runWrap(options: WrapOptions): Promise<PeerEnd> {
  checkStdout(options);
  let rules = readRules(options, { cwd: options.cwd, reading: options.diagnostics });
  const core = await startCore({
    ...options,
    policy: () => rules.policy,
    pinning: () => rules.pinning,
    denials: () => options.denials,
    changing: options.watchMs !== 'off',
  });
  const files = startReloading({
    ...options,
    roots: options.policyFiles,
    load: (read, reading) => readRules(options, { cwd: options.cwd, reading, read }),
    changes: (next) => ruleChanges(rules, next),
    put: (next) => {
      rules = next;
    },
    tell: core.rulesChanged,
    lifecycle: core.lifecycle,
  });
  const identity = stdioIdentity(options.agent);
  const { target, server: name } = options;
  const server = target.kind === 'url' ? serverFacts({ ...target, kind: 'http', name }) : { name };
  const origin = (claimed: Claimed): Origin => ({ server, transport: 'pipe', identity, claimed });
  const { gate } = core;
  const open = (): Promise<Peer> | Peer => {
    if (target.kind === 'command') {
      return openChildPeer({ ...options, ...target, env: options.childEnv, schedule });
    }
    const upstream: HttpUpstream = { ...target, kind: 'http', name };
    return openRemotePeer({ ...options, gate, upstream, origin: origin({}), schedule });
  };
  try {
    return await runStdioDoor({ ...options, gate, open, origin });
  } finally {
    files.stop();
    await core.stop(options.shutdownTimeoutMs);
  }
}
