/**
 * Appends records to a file, a batch at a time, and acknowledges them when they are on stable storage under the
 * file's own name. Whoever deletes, replaces, truncates or rotates the file gets a new one; what is written again for
 * that has the ids that it had.
 */
import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { VerdictError } from '../../errors.ts';
import type { SpoolLock } from '../../spool/files.ts';
import { lockFile } from '../../spool/lock.ts';
import { codeOf } from '../../spool/system-error.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { DeliveryError } from '../acknowledgement.ts';
import type { Exporter } from '../direct-exporter.ts';
import { createDirectExporter } from '../direct-exporter.ts';
import { formatOf } from '../encoding.ts';
import { openAppender } from './append.ts';
import type { Appender } from './append.ts';
import { nodeLogFiles } from './log-files.ts';
import type { LogFiles } from './log-files.ts';
import { createArchive } from './rotation.ts';
import type { Archive } from './rotation.ts';

export interface FileSettings {
  /** Absolute. */
  readonly path: string;
  /** One of FORMAT_NAMES. */
  readonly format: string;
  /** undefined: it is rotated by others, or not at all. */
  readonly rotate?: Rotation | undefined;
}

export interface Rotation {
  /** Before it gets larger. */
  readonly bytes?: number | undefined;
  /** When a new span of so many milliseconds begins, counted from the Unix epoch: 24 h is at midnight, UTC. */
  readonly everyMs?: number | undefined;
  /** Rotated files that are kept; undefined: all. */
  readonly keep?: number | undefined;
  readonly compression: 'gzip' | 'none';
}

export interface FileExporterOptions {
  readonly settings: FileSettings;
  readonly diagnostics: Diagnostics;
  readonly nowMs: () => number;
  /** A test puts its own in. */
  readonly files?: LogFiles | undefined;
}

/** A disk that takes longer has a fault that somebody must see to. */
const TIMEOUT_MS = 30_000;

/** How often one batch is written anew because the file was taken away meanwhile. */
const REPLACED_MAX = 3;

/** @throws VerdictError config_invalid where the directory is not there */
export function createFileExporter(options: FileExporterOptions): Exporter {
  const { path } = options.settings;
  const format = formatOf(options.settings.format);
  checkDirectory(path);
  const target = new FileTarget(options);
  return createDirectExporter({
    endpoint: path,
    timeoutMs: TIMEOUT_MS,
    encode: (records) => Buffer.from(records.map((record) => `${format.encode(record)}\n`).join('')),
    send: (bytes) => target.write(bytes),
    reopen: () => target.reopen(),
    shutdown: () => target.close(),
  });
}

/** Here, where it can still be refused: later it could only be said again and again. */
function checkDirectory(path: string): void {
  const directory = dirname(path);
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return;
  throw new VerdictError('config_invalid', { detail: `${path}: there is no directory ${directory}` });
}

/** Paths that an exporter of this thread has open, also one that was given up and does not come back. */
const owned = new Set<string>();

class FileTarget {
  readonly #options: FileExporterOptions;
  readonly #files: LogFiles;
  readonly #archive: Archive;
  #lock: SpoolLock | undefined;
  #appender: Appender | undefined;
  /** What was begun last: one thing after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: FileExporterOptions) {
    const { settings, diagnostics, files = nodeLogFiles } = options;
    const { path, rotate } = settings;
    this.#options = options;
    this.#files = files;
    this.#archive = createArchive({
      path,
      files,
      isGzipped: rotate?.compression === 'gzip',
      keep: rotate?.keep,
      diagnostics,
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#next(async () => {
      try {
        await this.#append(bytes);
      } catch (error) {
        await this.#letGo().catch(() => {});
        throw error instanceof DeliveryError ? error : trouble(this.#options.settings.path, error);
      }
    });
  }

  /** Lets go of the file, so that whoever has moved it away may do with it what they want. */
  reopen(): Promise<void> {
    return this.#next(() => this.#letGo());
  }

  close(): Promise<void> {
    return this.#next(async () => {
      await this.#archive.stop();
      await this.#letGo();
      if (this.#lock === undefined) return;
      this.#lock.release();
      this.#lock = undefined;
      owned.delete(this.#options.settings.path);
    });
  }

  #next(work: () => Promise<void>): Promise<void> {
    const next = this.#last.then(work);
    this.#last = next.catch(() => {});
    return next;
  }

  async #append(bytes: Uint8Array): Promise<void> {
    await this.#own();
    for (let tries = 1; tries <= REPLACED_MAX; tries += 1) {
      const appender = await this.#current(bytes.length);
      if (await appender.append(bytes)) return;
      await this.#letGo();
    }
    throw retry(`${this.#options.settings.path} is taken away each time that it is written to`);
  }

  /** The file as it is to be written to: there, whole, and not due to be rotated. */
  async #current(bytes: number): Promise<Appender> {
    const { path, rotate } = this.#options.settings;
    if (this.#appender !== undefined && !(await this.#appender.refresh())) await this.#letGo();
    let appender = (this.#appender ??= await openAppender(path, this.#files));
    if (rotate !== undefined && isDue(rotate, appender, bytes, this.#options.nowMs())) {
      await this.#letGo();
      await this.#archive.rotate(this.#options.nowMs());
      appender = this.#appender = await openAppender(path, this.#files);
      this.#archive.tidy();
    }
    return appender;
  }

  async #letGo(): Promise<void> {
    const appender = this.#appender;
    this.#appender = undefined;
    await appender?.close();
  }

  /** Two writers would cut off each other's lines. */
  async #own(): Promise<void> {
    if (this.#lock !== undefined) return;
    const { path, rotate } = this.#options.settings;
    if (owned.has(path)) throw retry(`${path}: an earlier attempt to write to it has not come back`);
    // Asked first, because the lock is taken synchronously: a file system that hangs must hang here.
    await this.#files.isDirectory(dirname(path));
    this.#lock = lockFile(join(dirname(path), `.${basename(path)}.lock`));
    if (this.#lock === undefined) {
      throw retry(`${path} is written to by another process: each needs a path of its own`);
    }
    owned.add(path);
    if (rotate !== undefined) this.#archive.tidy();
  }
}

function isDue(rotate: Rotation, { size, modifiedMs }: Appender, bytes: number, nowMs: number): boolean {
  if (size === 0) return false;
  if (rotate.bytes !== undefined && size + bytes > rotate.bytes) return true;
  const { everyMs } = rotate;
  return everyMs !== undefined && Math.floor(modifiedMs / everyMs) < Math.floor(nowMs / everyMs);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file is as large as a file may be',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the disk is read-only',
  ENOENT: 'its directory is gone',
  ELOOP: 'it is a link, which is not followed',
  EISDIR: 'it is a directory',
};

function trouble(path: string, error: unknown): DeliveryError {
  const code = codeOf(error);
  const reason = code === undefined ? undefined : REASONS[code];
  const text = error instanceof Error ? error.message : String(error);
  return retry(`${path} cannot be written: ${reason === undefined ? text : `${reason} (${code})`}`);
}

function retry(text: string): DeliveryError {
  return new DeliveryError({ kind: 'retry', text, alarm: true });
}
