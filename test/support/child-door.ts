/** The stdio door before a child process, as `wrap` opens it. */
import { type ChildCommand, type ChildTimes, schedule } from '../../src/proxy/stdio/child.ts';
import { openChildPeer } from '../../src/proxy/stdio/child-peer.ts';
import { runStdioDoor, type StdioDoorOptions } from '../../src/proxy/stdio/door.ts';
import type { PeerEnd } from '../../src/proxy/stdio/peer.ts';

export interface ChildDoorOptions extends Omit<StdioDoorOptions, 'open' | 'limits'>, ChildCommand {
  readonly stderr: NodeJS.WritableStream;
  readonly limits?: (StdioDoorOptions['limits'] & Omit<ChildTimes, 'schedule'>) | undefined;
}

export function runChildDoor(options: ChildDoorOptions): Promise<PeerEnd> {
  const open = () => openChildPeer({ ...options, ...options.limits, schedule: options.schedule ?? schedule });
  return runStdioDoor({ ...options, open });
}
