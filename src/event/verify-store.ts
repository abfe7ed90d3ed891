/** What verification keeps of each record: about 100 bytes, so that a million records fit in memory. */
import { hash as digest } from 'node:crypto';
import type { BodyFacts } from './verify-body.ts';

const CHUNK_RECORDS = 8192;
const HASH_BYTES = 32;

export const FLAG = { checkpoint: 1, stop: 2, doctor: 4 } as const;

interface Chunk {
  readonly stream: Uint32Array;
  readonly sequence: Float64Array;
  readonly timeMs: Float64Array;
  readonly uid: BigUint64Array;
  readonly flags: Uint8Array;
  readonly hash: Buffer;
  readonly previous: Buffer;
}

/** Columns by record number, in the order of coming; duplicates too. */
export class RecordStore {
  readonly #chunks: Chunk[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(stream: number, facts: BodyFacts, flags: number): void {
    const at = this.#count % CHUNK_RECORDS;
    if (at === 0) this.#chunks.push(newChunk());
    const chunk = this.#chunk(this.#count);
    chunk.stream[at] = stream;
    chunk.sequence[at] = facts.sequence;
    chunk.timeMs[at] = facts.timeMs;
    chunk.uid[at] = Buffer.from(digest('sha256', facts.uid, 'hex').slice(0, 16), 'hex').readBigUInt64BE();
    chunk.flags[at] = flags;
    chunk.hash.write(facts.hash, at * HASH_BYTES, 'hex');
    chunk.previous.write(facts.previousHash, at * HASH_BYTES, 'hex');
    this.#count += 1;
  }

  stream(record: number): number {
    return this.#chunk(record).stream[record % CHUNK_RECORDS] ?? 0;
  }

  sequence(record: number): number {
    return this.#chunk(record).sequence[record % CHUNK_RECORDS] ?? 0;
  }

  timeMs(record: number): number {
    return this.#chunk(record).timeMs[record % CHUNK_RECORDS] ?? Number.NaN;
  }

  /** First 8 bytes of the SHA-256 of the uid. */
  uid(record: number): bigint {
    return this.#chunk(record).uid[record % CHUNK_RECORDS] ?? 0n;
  }

  has(record: number, flag: number): boolean {
    return ((this.#chunk(record).flags[record % CHUNK_RECORDS] ?? 0) & flag) !== 0;
  }

  /** Hex. */
  hash(record: number): string {
    return hex(this.#chunk(record).hash, record);
  }

  /** Hex. */
  previousHash(record: number): string {
    return hex(this.#chunk(record).previous, record);
  }

  /** Whether two records have the same body. */
  same(a: number, b: number): boolean {
    return equal([this.#chunk(a).hash, a], [this.#chunk(b).hash, b]);
  }

  /** Whether `record` cites the hash of `before`. */
  follows(record: number, before: number): boolean {
    return equal([this.#chunk(record).previous, record], [this.#chunk(before).hash, before]);
  }

  /** Record numbers by stream, then sequence, then coming. */
  sorted(): Uint32Array {
    const order = new Uint32Array(this.#count);
    for (let at = 0; at < order.length; at += 1) order[at] = at;
    const compare = (a: number, b: number): number =>
      this.stream(a) - this.stream(b) || this.sequence(a) - this.sequence(b) || a - b;
    // Most inputs are in order already.
    for (let at = 1; at < order.length; at += 1) if (compare(at - 1, at) > 0) return order.sort(compare);
    return order;
  }

  #chunk(record: number): Chunk {
    const chunk = this.#chunks[Math.floor(record / CHUNK_RECORDS)];
    if (chunk === undefined) throw new RangeError(`no record ${record}`);
    return chunk;
  }
}

function newChunk(): Chunk {
  return {
    stream: new Uint32Array(CHUNK_RECORDS),
    sequence: new Float64Array(CHUNK_RECORDS),
    timeMs: new Float64Array(CHUNK_RECORDS),
    uid: new BigUint64Array(CHUNK_RECORDS),
    flags: new Uint8Array(CHUNK_RECORDS),
    hash: Buffer.alloc(CHUNK_RECORDS * HASH_BYTES),
    previous: Buffer.alloc(CHUNK_RECORDS * HASH_BYTES),
  };
}

function hex(column: Buffer, record: number): string {
  const at = (record % CHUNK_RECORDS) * HASH_BYTES;
  return column.toString('hex', at, at + HASH_BYTES);
}

function equal([left, a]: readonly [Buffer, number], [right, b]: readonly [Buffer, number]): boolean {
  const [from, other] = [(a % CHUNK_RECORDS) * HASH_BYTES, (b % CHUNK_RECORDS) * HASH_BYTES];
  return left.compare(right, other, other + HASH_BYTES, from, from + HASH_BYTES) === 0;
}
