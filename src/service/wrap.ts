/** Composes `wrap`: the core, and a stdio door in front of one server. */
import type { Environment } from '../config.ts';
import type { PinsConfig } from '../config/pins.ts';
import { VerdictError } from '../errors.ts';
import type { DenialStyle } from '../policy/verdict.ts';
import { stdioIdentity } from '../identity/stdio.ts';
import { schedule } from '../proxy/stdio/child.ts';
import { openChildPeer } from '../proxy/stdio/child-peer.ts';
import { runStdioDoor } from '../proxy/stdio/door.ts';
import type { PeerEnd } from '../proxy/stdio/peer.ts';
import { startCore, type CoreOptions } from './core.ts';
import { startReloading } from './reload/reload.ts';
import { readRules, ruleChanges } from './reload/rules.ts';

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
  readonly command: string;
  readonly args: readonly string[];
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

/** Runs `wrap` until the wrapped server has ended. */
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
  try {
    return await runStdioDoor({
      ...options,
      gate: core.gate,
      open: () => openChildPeer({ ...options, env: options.childEnv, schedule }),
      origin: (claimed) => ({ server: { name: options.server }, transport: 'pipe', identity, claimed }),
    });
  } finally {
    files.stop();
    await core.stop(options.shutdownTimeoutMs);
  }
}
