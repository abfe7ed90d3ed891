/** Which of the system's errors pass by themselves, and which end a stream. Pure. */

/** Room or handles ran out: nothing was written that counts, and it may work again later. */
const TEMPORARY: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EMFILE', 'ENFILE']);

/** The system's code of an error, e.g. ENOSPC; undefined where it has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Whether what failed may be tried again on the same stream. A failed sync never may: it is a `SyncError`. */
export function isTemporary(error: unknown): boolean {
  return !(error instanceof SyncError) && TEMPORARY.has(codeOf(error) ?? '');
}

/** A sync failed, or what it covered is not where it belongs: nobody knows what is on the disk. */
export class SyncError extends Error {
  constructor(what: string, options?: ErrorOptions) {
    super(what, options);
    this.name = 'SyncError';
  }
}

/** An error as the system would throw it. */
export function systemError(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code });
}
