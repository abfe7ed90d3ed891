/** Every limit of a stdio connection. */
import { limitOf } from '../limit.ts';
import { type LaneLimits, STDIO_PENDING_BYTES_MAX, STDIO_PENDING_MAX } from './lane.ts';
import { LINE_BYTES_MAX } from './line-splitter.ts';
import { STDIO_OPEN_MAX } from './open-requests.ts';

export interface StdioLimits extends LaneLimits {
  /** A line is a message, so this one holds in place of `MessageLimits.bytesMax`. */
  readonly lineBytesMax?: number | undefined;
  readonly openMax?: number | undefined;
  /** Levels of nesting, see strict-json.ts. */
  readonly depthMax?: number | undefined;
}

/** @throws VerdictError config_invalid on a limit out of range */
export function checkStdioLimits(limits: StdioLimits): void {
  limitOf('lineBytesMax', LINE_BYTES_MAX, limits.lineBytesMax);
  limitOf('pendingMax', STDIO_PENDING_MAX, limits.pendingMax);
  limitOf('pendingBytesMax', STDIO_PENDING_BYTES_MAX, limits.pendingBytesMax);
  limitOf('openMax', STDIO_OPEN_MAX, limits.openMax);
}
