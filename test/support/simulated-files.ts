/**
 * A disk in memory that loses what was not synced. It keeps the order of operations, fails as it is told to, and
 * can have its power cut at any operation.
 */
import { posix } from 'node:path';
import type { SpoolFile, SpoolFiles, SpoolLock } from '../../src/spool/files.ts';
import { SimulatedDirectory, SimulatedFile } from './simulated-inode.ts';
import type { Inode, Random } from './simulated-inode.ts';

export { SECTOR_BYTES, seededRandom } from './simulated-inode.ts';
export type { Random } from './simulated-inode.ts';

export type OperationName =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'makeDirectory'
  | 'list'
  | 'rename'
  | 'unlink'
  | 'removeDirectory'
  | 'syncDirectory'
  | 'lock';

export interface Operation {
  readonly name: OperationName;
  readonly path: string;
  /** Where a write begins and how many bytes were asked for. */
  readonly position?: number;
  readonly bytes?: number;
  /** What a rename goes to. */
  readonly to?: string;
}

export interface Fault {
  /** The system's code, e.g. EIO. */
  readonly code: string;
  /** Which such operation from now, from 1; default the next. */
  readonly nth?: number;
  /** How the path ends; default any path. */
  readonly path?: string;
  /** Fails each one from then on. */
  readonly always?: boolean;
}

export interface Limits {
  /** Bytes by which files may still grow; beyond, a short write and then ENOSPC. */
  freeBytes?: number | undefined;
  /** EFBIG beyond. */
  fileBytesMax?: number | undefined;
  /** EMFILE beyond. */
  openFilesMax?: number | undefined;
  /** Most that one write takes. */
  writeBytesMax?: number | undefined;
  /** EROFS on all that changes something. */
  readOnly?: boolean | undefined;
}

export interface SimulatedFiles extends SpoolFiles {
  readonly operations: readonly Operation[];
  /** The power is gone. */
  readonly dark: boolean;
  /** May be changed at any time. */
  readonly limits: Limits;
  /** Lifts limits and forgets faults that have not met anything yet. */
  mend(): void;
  /** Makes one later operation, or all, fail. */
  fail(name: OperationName, fault: Fault): void;
  /** The n-th changing operation from now, from 1, is half done when the power goes; none after it works. */
  cutAt(nth: number): void;
  /** kill -9: locks are free, open files are gone, all that was written is still there. */
  kill(): void;
  /** The disk after a power loss at this moment. The old one is dead. */
  crash(random: Random): SimulatedFiles;
  /** All files, sorted. */
  paths(): string[];
  bytes(path: string): Buffer;
  /** Puts a file there, durably, as someone else may do. */
  plant(path: string, bytes: Uint8Array): void;
}

export interface SimulatedOptions {
  /** false: syncs say that they worked and do nothing, as some disks do. */
  readonly syncs?: boolean;
}

export const POWER_CUT = 'POWERCUT';

const FREE_BYTES = 2 ** 40;

const CHANGING: ReadonlySet<OperationName> = new Set([
  'create',
  'write',
  'sync',
  'makeDirectory',
  'rename',
  'unlink',
  'removeDirectory',
  'syncDirectory',
]);

/** An empty disk. */
export function createSimulatedFiles(options: SimulatedOptions = {}): SimulatedFiles {
  return new Disk(new SimulatedDirectory(), options);
}

type Script = Fault & { readonly operation: OperationName; left: number };

class Disk implements SimulatedFiles {
  readonly operations: Operation[] = [];
  readonly limits: Limits = {};
  readonly #root: SimulatedDirectory;
  readonly #options: SimulatedOptions;
  #scripts: Script[] = [];
  #locked = new Set<Inode>();
  #openFiles = 0;
  /** Raised by a kill: files opened before are gone. */
  #epoch = 0;
  #operationsLeft = Infinity;

  constructor(root: SimulatedDirectory, options: SimulatedOptions) {
    this.#root = root;
    this.#options = options;
  }

  get dark(): boolean {
    return this.#operationsLeft <= 0;
  }

  fail(operation: OperationName, fault: Fault): void {
    this.#scripts.push({ ...fault, operation, left: fault.nth ?? 1 });
  }

  mend(): void {
    this.#scripts = [];
    for (const name of Object.keys(this.limits)) Object.assign(this.limits, { [name]: undefined });
  }

  cutAt(nth: number): void {
    this.#operationsLeft = nth;
  }

  kill(): void {
    this.#epoch += 1;
    this.#openFiles = 0;
    this.#locked.clear();
  }

  crash(random: Random): SimulatedFiles {
    this.kill();
    this.#operationsLeft = 0;
    return new Disk(this.#root.crash(random), this.#options);
  }

  paths(): string[] {
    const walk = (directory: SimulatedDirectory, at: string): string[] =>
      [...directory.entries].flatMap(([name, inode]) =>
        inode.kind === 'directory' ? walk(inode, `${at}/${name}`) : [`${at}/${name}`],
      );
    return walk(this.#root, '').sort();
  }

  bytes(path: string): Buffer {
    return this.#file(path, 'read').bytes;
  }

  plant(path: string, bytes: Uint8Array): void {
    this.#parent(path, 'create').link(posix.basename(path), new SimulatedFile(Buffer.from(bytes)));
    this.#parent(path, 'create').sync();
  }

  open(path: string, how: 'read' | 'write' | 'create'): SpoolFile {
    const name = how === 'create' ? 'create' : 'open';
    if (how === 'write' && this.limits.readOnly === true) throw systemError('EROFS', name, path);
    if (this.#openFiles >= (this.limits.openFilesMax ?? Infinity)) throw systemError('EMFILE', name, path);
    const step = this.#begin({ name, path });
    if (how === 'create') {
      const parent = this.#parent(path, name);
      if (parent.entries.has(posix.basename(path))) throw systemError('EEXIST', name, path);
      parent.link(posix.basename(path), new SimulatedFile());
    }
    step.end();
    this.#openFiles += 1;
    return this.#handle(this.#file(path, name), path);
  }

  makeDirectory(path: string): void {
    const step = this.#begin({ name: 'makeDirectory', path });
    let at = this.#root;
    const made: SimulatedDirectory[] = [];
    for (const name of namesOf(path)) {
      if (!at.entries.has(name)) {
        at.link(name, new SimulatedDirectory());
        made.push(at);
      }
      const next = at.entries.get(name);
      if (next?.kind !== 'directory') throw systemError('ENOTDIR', 'makeDirectory', path);
      at = next;
    }
    step.end();
    if (this.#options.syncs !== false) for (const directory of made) directory.sync();
  }

  list(path: string): string[] {
    this.#begin({ name: 'list', path });
    const inode = this.#find(path);
    if (inode === undefined) return [];
    if (inode.kind !== 'directory') throw systemError('ENOTDIR', 'list', path);
    return [...inode.entries.keys()].sort();
  }

  rename(from: string, to: string): void {
    const step = this.#begin({ name: 'rename', path: from, to });
    const parent = this.#parent(from, 'rename');
    if (parent !== this.#parent(to, 'rename')) throw systemError('EXDEV', 'rename', from);
    if (!parent.entries.has(posix.basename(from))) throw systemError('ENOENT', 'rename', from);
    parent.rename(posix.basename(from), posix.basename(to));
    step.end();
  }

  unlink(path: string): void {
    const step = this.#begin({ name: 'unlink', path });
    const file = this.#file(path, 'unlink');
    this.#parent(path, 'unlink').unlink(posix.basename(path));
    if (this.limits.freeBytes !== undefined) this.limits.freeBytes += file.size;
    step.end();
  }

  removeDirectory(path: string): void {
    const step = this.#begin({ name: 'removeDirectory', path });
    if (this.#directory(path, 'removeDirectory').entries.size > 0) {
      throw systemError('ENOTEMPTY', 'removeDirectory', path);
    }
    this.#parent(path, 'removeDirectory').unlink(posix.basename(path));
    step.end();
  }

  syncDirectory(path: string): void {
    const step = this.#begin({ name: 'syncDirectory', path });
    const directory = this.#directory(path, 'syncDirectory');
    step.end();
    if (this.#options.syncs !== false) directory.sync();
  }

  freeBytes(): number {
    return this.limits.freeBytes ?? FREE_BYTES;
  }

  lock(path: string): SpoolLock | undefined {
    this.#begin({ name: 'lock', path });
    const parent = this.#parent(path, 'lock');
    if (this.#find(path) === undefined) parent.link(posix.basename(path), new SimulatedFile());
    const inode = this.#file(path, 'lock');
    if (this.#locked.has(inode)) return undefined;
    this.#locked.add(inode);
    const epoch = this.#epoch;
    return {
      release: () => {
        if (epoch === this.#epoch) this.#locked.delete(inode);
      },
    };
  }

  #handle(file: SimulatedFile, path: string): SpoolFile {
    const epoch = this.#epoch;
    let open = true;
    const use = (operation: Operation): Step => {
      if (!open || epoch !== this.#epoch) throw systemError('EBADF', operation.name, path);
      return this.#begin(operation, file);
    };
    return {
      read: (buffer, position) => {
        use({ name: 'read', path, position, bytes: buffer.length });
        return file.read(buffer, position);
      },
      write: (bytes, position) => {
        const step = use({ name: 'write', path, position, bytes: bytes.length });
        const taken = this.#room(file, { path, position, bytes: bytes.length });
        file.write(bytes.subarray(0, taken), position);
        step.end();
        return taken;
      },
      sync: () => {
        use({ name: 'sync', path }).end();
        if (this.#options.syncs !== false) file.sync();
      },
      size: () => file.size,
      isAt: (place) => this.#find(place) === file,
      close: () => {
        if (open && epoch === this.#epoch) this.#openFiles -= 1;
        open = false;
      },
    };
  }

  /** How many of the bytes the disk takes. */
  #room(file: SimulatedFile, asked: { path: string; position: number; bytes: number }): number {
    const { fileBytesMax = Infinity, writeBytesMax = Infinity, freeBytes } = this.limits;
    const upTo = (end: number): number => Math.max(0, end - asked.position);
    const taken = Math.min(
      asked.bytes,
      writeBytesMax,
      upTo(fileBytesMax),
      upTo(file.size + (freeBytes ?? Infinity)),
    );
    if (taken === 0 && asked.bytes > 0) {
      throw systemError(upTo(fileBytesMax) === 0 ? 'EFBIG' : 'ENOSPC', 'write', asked.path);
    }
    if (freeBytes !== undefined) {
      this.limits.freeBytes = freeBytes - Math.max(0, asked.position + taken - file.size);
    }
    return taken;
  }

  /** Notes an operation and lets it fail; `end`, once it is half done, is where the power goes. */
  #begin(operation: Operation, file?: SimulatedFile): Step {
    const { name, path } = operation;
    if (this.dark) throw systemError(POWER_CUT, name, path);
    this.operations.push(operation);
    if (this.limits.readOnly === true && CHANGING.has(name)) throw systemError('EROFS', name, path);
    const code = this.#scripted(operation);
    if (code !== undefined) {
      if (name === 'sync') file?.failSync();
      throw systemError(code, name, path);
    }
    if (!CHANGING.has(name)) return { end: () => {} };
    this.#operationsLeft -= 1;
    const cut = this.dark;
    return {
      end() {
        if (cut) throw systemError(POWER_CUT, name, path);
      },
    };
  }

  #scripted({ name, path }: Operation): string | undefined {
    const met = this.#scripts.filter(
      (script) => script.operation === name && path.endsWith(script.path ?? ''),
    );
    for (const script of met) script.left -= 1;
    const due = met.find((script) => script.left <= 0);
    if (due?.always !== true) this.#scripts = this.#scripts.filter((script) => script !== due);
    return due?.code;
  }

  #find(path: string): Inode | undefined {
    let at: Inode | undefined = this.#root;
    for (const name of namesOf(path)) at = at?.kind === 'directory' ? at.entries.get(name) : undefined;
    return at;
  }

  #file(path: string, name: OperationName): SimulatedFile {
    const inode = this.#find(path);
    if (inode === undefined) throw systemError('ENOENT', name, path);
    if (inode.kind !== 'file') throw systemError('EISDIR', name, path);
    return inode;
  }

  #directory(path: string, name: OperationName): SimulatedDirectory {
    const inode = this.#find(path);
    if (inode === undefined) throw systemError('ENOENT', name, path);
    if (inode.kind !== 'directory') throw systemError('ENOTDIR', name, path);
    return inode;
  }

  #parent(path: string, name: OperationName): SimulatedDirectory {
    return this.#directory(posix.dirname(path), name);
  }
}

interface Step {
  end(): void;
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

function systemError(code: string, name: OperationName, path: string): Error {
  return Object.assign(new Error(`${code}: ${name} '${path}'`), { code });
}
