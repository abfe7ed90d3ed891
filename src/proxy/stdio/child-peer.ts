/** A process of our own making as what stands behind the stdio door: lines on its stdin and stdout. */
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { limitOf } from '../limit.ts';
import { type ChildCommand, type ChildTimes, startChild } from './child.ts';
import { LINE_BYTES_MAX, createLineSplitter } from './line-splitter.ts';
import { createLineWriter, readLines } from './line-stream.ts';
import type { Peer, PeerEnd } from './peer.ts';

export interface ChildPeerOptions extends ChildCommand, ChildTimes {
  readonly lineBytesMax?: number | undefined;
  /** Gets the child's stderr, untouched. */
  readonly stderr: NodeJS.WritableStream;
  readonly diagnostics: Diagnostics;
}

/** @throws VerdictError command_failed where it cannot be started, config_invalid for a limit out of range */
export async function openChildPeer(options: ChildPeerOptions): Promise<Peer> {
  const lineBytesMax = limitOf('lineBytesMax', LINE_BYTES_MAX, options.lineBytesMax);
  const child = await startChild(options, options);
  const outlet = createLineWriter(child.stdin, (error) => {
    options.diagnostics.debug(`the server has closed its stdin: ${error.message}`);
  });
  return {
    outlet,
    listen: (inlet) =>
      readLines(child.stdout, createLineSplitter(lineBytesMax), (line) => inlet.fromUpstream(line)),
    ended: child.ended,
    drained: passOn(child.stderr, options.stderr),
    stop: () => child.stop(),
    terminate: (graceMs) => child.terminate(graceMs),
    describe,
  };
}

/** Copies the child's stderr; once ours is broken, to nowhere, so that the child is not held up. */
function passOn(from: NodeJS.ReadableStream, to: NodeJS.WritableStream): Promise<void> {
  const toNowhere = (): void => {
    from.unpipe(to);
    from.resume();
  };
  to.on('error', toNowhere);
  from.pipe(to, { end: false });
  return new Promise((resolve) => {
    from.once('close', () => {
      to.off('error', toNowhere);
      resolve();
    });
  });
}

function describe(end: PeerEnd): string {
  if (end.signal !== undefined) return `its process was ended by ${end.signal}`;
  return `its process exited with code ${end.code ?? 'unknown'}`;
}
