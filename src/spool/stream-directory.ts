/** What is in a stream's directory: its segments, their headers, and the place that a body says it has. */
import { hash } from 'node:crypto';
import type { SpoolFile, SpoolFiles } from './files.ts';
import type { Candidate } from './linker.ts';
import type { SpooledRecord } from './position.ts';
import { createScanner } from './scanner.ts';
import type { ScannedLine } from './scanner.ts';
import { parseHeader, parseSegmentName, segmentName } from './segment.ts';
import type { SegmentHeader } from './segment.ts';

/** First sequences of the segments in a stream's directory, in order. */
export function listSegments(files: SpoolFiles, streamDirectory: string): number[] {
  return files
    .list(streamDirectory)
    .map(parseSegmentName)
    .filter((first) => first !== undefined)
    .sort((a, b) => a - b);
}

export function segmentPath(streamDirectory: string, first: number): string {
  return `${streamDirectory}/${segmentName(first)}`;
}

/** The header of an open segment; undefined where it is damaged or of another segment. */
export function readHeader(file: SpoolFile, stream: string, first: number): SegmentHeader | undefined {
  const line = createScanner(file, 0).next(file.size());
  const header = line?.offset === 0 && line.json !== undefined ? parseHeader(line.json) : undefined;
  return header?.stream === stream && header.firstSequence === first ? header : undefined;
}

/** A record whose line is as it was written; whether it belongs where it stands, the linker says. */
export interface FoundRecord extends SpooledRecord, Candidate {
  /** Where its line begins. */
  readonly offset: number;
  readonly durableBefore: number;
}

const SEQUENCE_DIGITS_MAX = 16;
const HASH_CHARS = 64;

/** @returns undefined for a line that is no record of this stream */
export function createRecordReader(
  stream: string,
): (line: ScannedLine, segment: number) => FoundRecord | undefined {
  // In a body these bytes are members: inside a JSON string a quote is escaped.
  const before = `"verdict.stream.id":"${stream}","verdict.stream.previous_hash":"`;
  const between = '","verdict.stream.sequence":';
  return (line, segment) => {
    const { json } = line;
    if (json === undefined) return undefined;
    const at = json.indexOf(before);
    if (at === -1) return undefined;
    const hashAt = at + before.length;
    const betweenAt = hashAt + HASH_CHARS;
    if (!json.startsWith(between, betweenAt)) return undefined;
    const sequence = parseCount(json, betweenAt + between.length);
    if (sequence === undefined) return undefined;
    const previousHash = json.slice(hashAt, betweenAt);
    return new ReadRecord(line, { body: json, stream, sequence, segment, previousHash });
  };
}

/**
 * A class and no object literal: those V8 may come to allocate among its old objects, where one that is dead keeps its
 * body until the next full collection (pretenuring goes by the place of a literal).
 */
class ReadRecord implements FoundRecord {
  readonly body: string;
  readonly stream: string;
  readonly sequence: number;
  readonly segment: number;
  readonly offset: number;
  readonly end: number;
  readonly durableBefore: number;
  readonly hash: string;
  readonly previousHash: string;

  constructor(
    { offset, end, durableBefore }: ScannedLine,
    said: Pick<FoundRecord, 'body' | 'stream' | 'sequence' | 'segment' | 'previousHash'>,
  ) {
    this.body = said.body;
    this.stream = said.stream;
    this.sequence = said.sequence;
    this.segment = said.segment;
    this.offset = offset;
    this.end = end;
    this.durableBefore = durableBefore;
    this.hash = hash('sha256', said.body);
    this.previousHash = said.previousHash;
  }
}

/** A positive integer that a `,` or `}` ends. */
function parseCount(text: string, from: number): number | undefined {
  let value = 0;
  for (let at = from; at <= from + SEQUENCE_DIGITS_MAX; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit >= 0 && digit <= 9) value = value * 10 + digit;
    else return value > 0 && Number.isSafeInteger(value) && /[,}]/.test(text.charAt(at)) ? value : undefined;
  }
  return undefined;
}
