/**
 * The disk as the spool sees it: synchronous calls, few enough to be replaced by a simulated disk that loses what
 * was not synced (test/support/simulated-files.ts). Every call throws an Error with the system's `code`.
 */
export interface SpoolFile {
  /** Fills `buffer` from `position`; returns the bytes read, 0 at the end. */
  read(buffer: Uint8Array, position: number): number;
  /** Writes at `position`; may write less than asked (write(2)); returns the bytes written. */
  write(bytes: Uint8Array, position: number): number;
  /** fdatasync(2). After a failure nothing on this file may be believed or retried. */
  sync(): void;
  size(): number;
  /** Whether `path` still names this file: what is written to an unlinked or replaced one is lost. */
  isAt(path: string): boolean;
  close(): void;
}

/** A lock that the system frees when the process dies. */
export interface SpoolLock {
  release(): void;
}

export interface SpoolFiles {
  /** `create`: read and write, must not exist yet, 0600. `write`: read and write, must exist. No link is followed. */
  open(path: string, how: 'read' | 'write' | 'create'): SpoolFile;
  /** 0700, parents too, durable on return; an existing one is fine if it is ours alone. */
  makeDirectory(path: string): void;
  /** Names in a directory, sorted; an empty list where there is none. */
  list(path: string): string[];
  rename(from: string, to: string): void;
  unlink(path: string): void;
  removeDirectory(path: string): void;
  /** fsync(2) of a directory: from then on what was created, renamed or unlinked in it stays so. */
  syncDirectory(path: string): void;
  /** Bytes that this process may still write on the file system of `path`. */
  freeBytes(path: string): number;
  /** undefined where another living process holds it. */
  lock(path: string): SpoolLock | undefined;
}
