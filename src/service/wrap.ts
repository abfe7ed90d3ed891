/** Composes `wrap`: the core, and a stdio door in front of one server. */
import type { Environment } from '../config.ts';
import { VerdictError } from '../errors.ts';
import { stdioIdentity } from '../identity/stdio.ts';
import { schedule } from '../proxy/stdio/child.ts';
import { openChildPeer } from '../proxy/stdio/child-peer.ts';
import { runStdioDoor } from '../proxy/stdio/door.ts';
import type { PeerEnd } from '../proxy/stdio/peer.ts';
import { startCore, type CoreOptions } from './core.ts';

export interface WrapOptions extends CoreOptions {
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
  const core = await startCore(options);
  const identity = stdioIdentity(options.agent);
  try {
    return await runStdioDoor({
      ...options,
      gate: core.gate,
      open: () => openChildPeer({ ...options, env: options.childEnv, schedule }),
      origin: (claimed) => ({ server: { name: options.server }, transport: 'pipe', identity, claimed }),
    });
  } finally {
    await core.stop(options.shutdownTimeoutMs);
  }
}
