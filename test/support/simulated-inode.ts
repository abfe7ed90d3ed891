/** A file and a directory on a simulated disk: what is written, what of it is durable, what a power cut leaves. */

/** Bytes that a disk writes whole; a power cut tears at these only. */
export const SECTOR_BYTES = 512;

/** An integer from 0 to below `end`. */
export type Random = (end: number) => number;

/** A small seeded generator (mulberry32): the same seed, the same crash. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (end) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % end;
  };
}

/** How much of what is pending survives: nothing, all, or each by the toss of a coin. */
function survival(random: Random): (versions: number) => number {
  const mode = random(4);
  return (versions) => {
    if (mode === 0) return 0;
    return mode === 1 ? versions : random(versions + 1);
  };
}

/** Bytes that grow in place: a copy of the whole for each write would be most of what a test does. */
class Content {
  /** Zeros behind `length`. */
  #room: Buffer;
  /** Somebody else has it too. */
  #isShared = true;
  length: number;

  /** @param bytes that nobody changes */
  constructor(bytes: Buffer = NOTHING) {
    this.#room = bytes;
    this.length = bytes.length;
  }

  get bytes(): Buffer {
    return this.#room.subarray(0, this.length);
  }

  /** To at least this length. */
  grow(length: number): void {
    if (length > this.#room.length) this.#take(Math.max(length, 2 * this.#room.length));
    this.length = Math.max(this.length, length);
  }

  write(bytes: Uint8Array, position: number): void {
    this.grow(position + bytes.length);
    if (this.#isShared) this.#take(this.#room.length);
    this.#room.set(bytes, position);
  }

  #take(length: number): void {
    this.#room = sized(this.#room, length);
    this.#isShared = false;
  }
}

const NOTHING = Buffer.alloc(0);

export class SimulatedFile {
  readonly kind = 'file';
  readonly #durable: Content;
  readonly #now: Content;
  /** What each sector held after each write since the last sync. */
  #pending = new Map<number, Buffer[]>();
  /** What was written before a sync that failed: no later sync makes it durable, yet it may be on the disk. */
  #limbo = new Map<number, Buffer[]>();
  #sizes: number[] = [];

  /** @param bytes that are durable, and that nobody changes */
  constructor(bytes?: Buffer) {
    this.#durable = new Content(bytes);
    this.#now = new Content(bytes);
  }

  get size(): number {
    return this.#now.length;
  }

  get bytes(): Buffer {
    return Buffer.from(this.#now.bytes);
  }

  read(into: Uint8Array, position: number): number {
    const part = this.#now.bytes.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.#now.length) this.#sizes.push(end);
    this.#now.write(bytes, position);
    for (let sector = Math.floor(position / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector += 1) {
      const versions = this.#pending.get(sector) ?? [];
      versions.push(Buffer.from(this.#sector(sector)));
      this.#pending.set(sector, versions);
    }
  }

  sync(): void {
    this.#durable.grow(this.#now.length);
    for (const sector of this.#pending.keys()) {
      this.#durable.write(this.#sector(sector), sector * SECTOR_BYTES);
      this.#limbo.delete(sector);
    }
    this.#pending.clear();
    this.#sizes = [];
  }

  /** The kernel marks the pages clean and forgets them. */
  failSync(): void {
    for (const [sector, versions] of this.#pending) {
      this.#limbo.set(sector, [...(this.#limbo.get(sector) ?? []), ...versions]);
    }
    this.#pending.clear();
  }

  crash(random: Random): SimulatedFile {
    const pick = survival(random);
    const sizes = [this.#durable.length, ...this.#sizes];
    const bytes = sized(this.#durable.bytes, sizes[pick(sizes.length - 1)] ?? 0);
    for (const sector of new Set([...this.#limbo.keys(), ...this.#pending.keys()])) {
      const versions = [...(this.#limbo.get(sector) ?? []), ...(this.#pending.get(sector) ?? [])];
      const survivor = versions[pick(versions.length) - 1];
      if (survivor !== undefined) survivor.copy(bytes, Math.min(sector * SECTOR_BYTES, bytes.length));
    }
    return new SimulatedFile(bytes);
  }

  #sector(sector: number): Buffer {
    return this.#now.bytes.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
  }
}

/** A copy of this length: cut, or with zeros behind. */
function sized(bytes: Buffer, length: number): Buffer {
  const copy = Buffer.alloc(length);
  bytes.copy(copy);
  return copy;
}

export type Inode = SimulatedFile | SimulatedDirectory;

type Change = { readonly name: string; readonly inode: Inode | undefined; readonly from?: string };

export class SimulatedDirectory {
  readonly kind = 'directory';
  #durable = new Map<string, Inode>();
  readonly entries = new Map<string, Inode>();
  #pending: Change[] = [];

  link(name: string, inode: Inode): void {
    this.#change({ name, inode });
  }

  unlink(name: string): void {
    this.#change({ name, inode: undefined });
  }

  /** Replaces what has the name `to`, as rename(2) does, in one step: a crash keeps one name, never none. */
  rename(from: string, to: string): void {
    this.#change({ name: to, inode: this.entries.get(from), from });
  }

  sync(): void {
    this.#durable = new Map(this.entries);
    this.#pending = [];
  }

  crash(random: Random): SimulatedDirectory {
    const pick = survival(random);
    const left = new Map(this.#durable);
    for (const change of this.#pending) if (pick(1) === 1) apply(left, change);
    const directory = new SimulatedDirectory();
    for (const [name, inode] of left) directory.link(name, inode.crash(random));
    directory.sync();
    return directory;
  }

  #change(change: Change): void {
    apply(this.entries, change);
    this.#pending.push(change);
  }
}

function apply(entries: Map<string, Inode>, { name, inode, from }: Change): void {
  if (from !== undefined) {
    // A rename whose create did not survive has nothing to rename.
    if (entries.get(from) !== inode) return;
    entries.delete(from);
  }
  if (inode === undefined) entries.delete(name);
  else entries.set(name, inode);
}
