/**
 * What the writer thread does, without the thread: commits to the present stream, and goes on in a new one when that
 * is over. Synchronous, over the file seam, so that a test can take the disk away.
 */
import { createCommitter, type CommitResult, type Committer, type Entry } from './committer.ts';
import type { SpoolFiles } from './files.ts';
import type { Citation, DurablePosition } from './position.ts';
import type { StreamIdentity } from './segment.ts';
import { codeOf } from './system-error.ts';
import type { FromWriter } from './writer-message.ts';

/** Between two attempts to begin a stream on a disk that does not take one. */
export const BEGIN_RETRY_MS = 1000;

const BEGIN_TRIES = 3;
const TAKEN: ReadonlySet<string> = new Set(['EBUSY', 'EEXIST', 'ENOENT']);

export interface WriterCoreOptions {
  readonly files: SpoolFiles;
  readonly directory: string;
  readonly identity: StreamIdentity;
  readonly segmentBytes?: number | undefined;
  readonly predecessor?: Citation | undefined;
  /** A UUID that no stream has had. */
  readonly newStreamId: () => string;
  readonly nowMs: () => number;
  readonly post: (message: FromWriter) => void;
}

export interface WriterCore {
  /** The stream that is written; undefined while none can be begun. */
  position(): DurablePosition | undefined;
  /** Answers by `post`: committed or refused. A stream that ended on the way is told before. */
  commit(entries: readonly Entry[]): void;
  /** One slice of preallocation. @returns whether there is more to do */
  idle(): boolean;
  stop(): void;
}

/** Begins the first stream. Throws what the disk throws. */
export function createWriterCore(options: WriterCoreOptions): WriterCore {
  const core = new Core(options);
  core.begin();
  return core;
}

class Core implements WriterCore {
  readonly #options: WriterCoreOptions;
  /** The one that is written. Those before it stay locked until the process ends: we deliver them. */
  #committer: Committer | undefined;
  #end: Citation | undefined;
  #open: readonly string[] = [];
  #retryAtMs = 0;

  constructor(options: WriterCoreOptions) {
    this.#options = options;
    this.#end = options.predecessor;
  }

  position(): DurablePosition | undefined {
    return this.#committer?.position();
  }

  /** Another process may adopt a directory before it is locked; then another id is taken. */
  begin(triesLeft = BEGIN_TRIES): Committer {
    const { files, directory, identity, segmentBytes, newStreamId } = this.#options;
    try {
      this.#committer = createCommitter({
        files,
        directory,
        streamId: newStreamId(),
        identityOfStream: identity,
        segmentBytes,
        predecessor: this.#end,
        openDecisions: this.#open,
      });
      return this.#committer;
    } catch (error) {
      if (triesLeft <= 1 || !TAKEN.has(codeOf(error) ?? '')) throw error;
      return this.begin(triesLeft - 1);
    }
  }

  commit(entries: readonly Entry[]): void {
    const { post } = this.#options;
    const result = this.#try(entries);
    if (result.ok) post({ kind: 'committed', position: result.position });
    else post({ kind: 'refused', text: describe(result.error) });
  }

  #try(entries: readonly Entry[]): CommitResult {
    const present = this.#committer;
    if (present === undefined) return this.#continue(entries, 'the spool cannot be written');
    const result = present.commit(entries);
    if (result.ok || !result.fatal) return result;
    const { stream, sequence, hash } = present.position();
    this.#end = { stream, sequence, hash };
    this.#open = present.openDecisions();
    this.#committer = undefined;
    this.#retryAtMs = 0;
    return this.#continue(entries, describe(result.error));
  }

  /** The waiting records go to the new stream once; if that fails too they are refused. */
  #continue(entries: readonly Entry[], text: string): CommitResult {
    const { nowMs, post, identity } = this.#options;
    if (nowMs() < this.#retryAtMs) return { ok: false, error: text, fatal: true };
    try {
      const next = this.begin();
      if (this.#end !== undefined) {
        const position = next.position();
        post({ kind: 'succeeded', end: this.#end, next: { identity, position }, text });
      }
      return next.commit(entries);
    } catch (error) {
      this.#retryAtMs = nowMs() + BEGIN_RETRY_MS;
      return { ok: false, error, fatal: true };
    }
  }

  idle(): boolean {
    return this.#committer?.prepareNext() ?? false;
  }

  stop(): void {
    const sealed = this.#committer?.close() ?? false;
    const position = this.#committer?.position() ?? this.#end;
    if (position === undefined) return;
    const { stream, sequence, hash } = position;
    this.#options.post({ kind: 'stopped', end: { stream, sequence, hash }, sealed });
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
