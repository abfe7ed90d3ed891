/**
 * The mark that an adopter leaves in a stream's directory once everything that has to be recorded of the stream is
 * durable elsewhere. With it the stream is not recovered again at each start, and nothing is recorded of it twice.
 */
import { crc32 } from 'node:zlib';
import type { SpoolFiles } from './files.ts';
import type { Citation } from './position.ts';
import { isTemporary } from './system-error.ts';

/** In a stream's directory. */
export const MARK_NAME = 'adopted.json';

export interface AdoptionMark {
  readonly end: Citation;
  /** Where a reader stops. */
  readonly segment: number;
  readonly offset: number;
}

const MARK_BYTES_MAX = 1024;

/** undefined where there is none, or one that is damaged: then the stream is recovered as if there were none. */
export function readMark(files: SpoolFiles, directory: string): AdoptionMark | undefined {
  let text: string;
  try {
    const file = files.open(`${directory}/${MARK_NAME}`, 'read');
    try {
      const bytes = Buffer.alloc(MARK_BYTES_MAX);
      text = bytes.subarray(0, file.read(bytes, 0)).toString('utf8');
    } finally {
      file.close();
    }
  } catch (error) {
    // Whatever stands in its place must not hide the stream.
    if (isTemporary(error)) throw error;
    return undefined;
  }
  const [json = '', crc] = text.trimEnd().split('\t');
  return crc === checksum(json) ? parseMark(json) : undefined;
}

const HASH = /^[0-9a-f]{64}$/;

/** A checksum is no signature: what lacks a place would make an end of nothing, and hide all that is behind it. */
function parseMark(json: string): AdoptionMark | undefined {
  let mark: unknown;
  try {
    mark = JSON.parse(json);
  } catch {
    return undefined;
  }
  const { end, segment, offset } = membersOf(mark);
  const { stream, sequence, hash } = membersOf(end);
  if (typeof stream !== 'string' || typeof hash !== 'string' || !HASH.test(hash)) return undefined;
  if (!isCount(sequence) || !isCount(segment) || !isCount(offset) || segment > sequence + 1) return undefined;
  return { end: { stream, sequence, hash }, segment, offset };
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  // Narrowed just before; what its members are is asked where they are used.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Durable when it returns. Throws what the disk throws. */
export function writeMark(files: SpoolFiles, directory: string, mark: AdoptionMark): void {
  const path = `${directory}/${MARK_NAME}`;
  const json = JSON.stringify(mark);
  const file = files.open(path, files.list(directory).includes(MARK_NAME) ? 'write' : 'create');
  try {
    const bytes = Buffer.from(`${json}\t${checksum(json)}\n`);
    for (let done = 0; done < bytes.length;) done += file.write(bytes.subarray(done), done);
    file.sync();
  } finally {
    file.close();
  }
  files.syncDirectory(directory);
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}
