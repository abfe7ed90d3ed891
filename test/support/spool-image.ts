/** Spools as plain bytes, to be spoiled one bit at a time; and what a reader makes of them. */
import { bodyHash, ZERO_HASH } from '../../src/event/stamp.ts';
import type { SpoolFile, SpoolFiles } from '../../src/spool/files.ts';
import { encodeLine } from '../../src/spool/line.ts';
import type { Citation, CursorPosition, Damage } from '../../src/spool/position.ts';
import { openStreamReader } from '../../src/spool/reader.ts';
import { recoveredPosition, recoverStream } from '../../src/spool/recovery.ts';
import type { CitedEnd, RecoveredStream } from '../../src/spool/recovery.ts';
import { encodeHeader, encodeSeal, segmentName } from '../../src/spool/segment.ts';
import { systemError } from '../../src/spool/system-error.ts';
import { IDENTITY, SPOOL, STREAM } from './spooled.ts';

/** Files by path. */
export type Image = Map<string, Buffer>;

/** A disk that can only be read. */
export function imageFiles(image: Image): SpoolFiles {
  const refuse = (): never => {
    throw systemError('EROFS', 'an image is only read');
  };
  return {
    open(path) {
      const bytes = image.get(path);
      if (bytes === undefined) throw systemError('ENOENT', path);
      return imageFile(bytes, refuse);
    },
    list: (path) => {
      const inside = [...image.keys()].filter((name) => name.startsWith(`${path}/`));
      return [...new Set(inside.map((name) => name.slice(path.length + 1).split('/')[0] ?? ''))].sort();
    },
    makeDirectory: refuse,
    rename: refuse,
    unlink: refuse,
    removeDirectory: refuse,
    syncDirectory: refuse,
    freeBytes: () => 0,
    lock: refuse,
  };
}

function imageFile(bytes: Buffer, refuse: () => never): SpoolFile {
  return {
    read: (buffer, position) => bytes.copy(buffer, 0, position, position + buffer.length),
    size: () => bytes.length,
    close: () => {},
    isAt: () => true,
    write: refuse,
    sync: refuse,
  };
}

export interface MadeRecord {
  readonly body: string;
  readonly hash: string;
  readonly sequence: number;
  readonly segment: number;
  readonly offset: number;
  readonly end: number;
}

export interface MadeStream {
  readonly image: Image;
  readonly records: readonly MadeRecord[];
  readonly end: Citation;
}

export interface StreamPlan {
  readonly stream?: string;
  /** Segments, in each of them commits, in each of them so many records. */
  readonly segments: readonly (readonly number[])[];
  /** Whether the last segment is sealed. */
  readonly sealed: boolean;
  readonly predecessor?: Citation;
  /** Zeros behind each segment. */
  readonly zeros?: number;
}

export function pathOf(first: number, stream: string = STREAM): string {
  return `${SPOOL}/${stream}/${segmentName(first)}`;
}

/** A body with its place, and nothing that a test does not need. */
export function bodyAt(sequence: number, previousHash: string, stream: string = STREAM): string {
  return (
    `{"event.name":"verdict.lifecycle","log.record.uid":"u${sequence}","verdict.stream.id":"${stream}",` +
    `"verdict.stream.previous_hash":"${previousHash}","verdict.stream.sequence":${sequence}}`
  );
}

/** The bytes that the committer would have written. */
export function makeStream(plan: StreamPlan): MadeStream {
  const { stream = STREAM, predecessor } = plan;
  const image: Image = new Map();
  const records: MadeRecord[] = [];
  let hash = predecessor?.hash ?? ZERO_HASH;
  for (const [index, commits] of plan.segments.entries()) {
    const first = records.length + 1;
    const header = { stream, firstSequence: first, previousHash: hash, predecessor, open: [], ...IDENTITY };
    let bytes: Buffer = encodeLine(encodeHeader(header), 0);
    for (const count of commits) {
      const durable = bytes.length;
      for (let left = count; left > 0; left -= 1) {
        const body = bodyAt(records.length + 1, hash, stream);
        hash = bodyHash(body);
        const offset = bytes.length;
        bytes = Buffer.concat([bytes, encodeLine(body, durable)]);
        const sequence = records.length + 1;
        records.push({ body, hash, sequence, segment: first, offset, end: bytes.length });
      }
    }
    const lastSequence = records.length;
    if (plan.sealed || index < plan.segments.length - 1) {
      const seal = encodeSeal({ stream, lastSequence, hash, count: lastSequence + 1 - first });
      bytes = Buffer.concat([bytes, encodeLine(seal, bytes.length)]);
    }
    image.set(pathOf(first, stream), Buffer.concat([bytes, Buffer.alloc(plan.zeros ?? 64)]));
  }
  return { image, records, end: { stream, sequence: records.length, hash } };
}

export interface ReadOut {
  readonly recovered: RecoveredStream;
  readonly bodies: ReadonlyMap<number, string>;
  /** Sequences in the order they were handed out. */
  readonly order: readonly number[];
  /** From recovery and from reading. */
  readonly damages: readonly Damage[];
  /** All sequences that a damage names. */
  readonly damaged: ReadonlySet<number>;
}

export interface ReadOutOptions {
  readonly stream?: string;
  readonly citations?: readonly CitedEnd[];
  readonly from?: CursorPosition;
}

/** Recovers a stream and reads all of it. */
export function readOut(files: SpoolFiles, options: ReadOutOptions = {}): ReadOut {
  const { stream = STREAM, citations = [], from } = options;
  const recovered = recoverStream(files, SPOOL, stream, citations);
  const reader = openStreamReader({
    files,
    directory: `${SPOOL}/${stream}`,
    stream,
    from,
    durable: () => recoveredPosition(recovered),
    end: recovered.end,
  });
  const bodies = new Map<number, string>();
  const order: number[] = [];
  const damages = [...recovered.damages];
  do {
    const batch = reader.next(3, 1 << 20);
    for (const { sequence, body } of batch.records) {
      bodies.set(sequence, body);
      order.push(sequence);
    }
    damages.push(...batch.damages);
  } while (!reader.ended());
  reader.close();
  const damaged = new Set<number>();
  for (const { from: first, to } of damages) {
    for (let sequence = first; sequence <= Math.min(to, first + 1000); sequence += 1) damaged.add(sequence);
  }
  return { recovered, bodies, order, damages, damaged };
}

/** The same image with one file replaced; undefined removes it. */
export function withFile(image: Image, path: string, bytes: Buffer | undefined): Image {
  const changed = new Map(image);
  if (bytes === undefined) changed.delete(path);
  else changed.set(path, bytes);
  return changed;
}

/** Lines of a segment up to its zeros, each with its LF. */
export function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const end = bytes.indexOf(0x0a, at) + 1;
    lines.push(bytes.subarray(at, end));
    at = end;
  }
  return lines;
}
