/**
 * What is left of a stream whose process is gone. Reads the headers and the last segment; writes nothing, so that
 * recovering twice changes nothing. What is damaged in an earlier segment is found when that is read.
 *
 * A torn tail and damage look alike: a line that is not right. The difference is a promise. Each line says how far
 * its segment was durable when it was written; a bad line before such a place had been acknowledged, so it is damage.
 */
import { ZERO_HASH } from '../event/stamp.ts';
import type { SpoolFile, SpoolFiles } from './files.ts';
import { createLinker, follows } from './linker.ts';
import type { ChainPlace, Linker } from './linker.ts';
import { followRecord } from './unpaired-decision.ts';
import type { UnpairedDecision, UnpairedDecisions } from './unpaired-decision.ts';
import type { Citation, Damage, DurablePosition } from './position.ts';
import { createScanner } from './scanner.ts';
import type { ScannedLine } from './scanner.ts';
import { createRecordReader, listSegments, readHeader, segmentPath } from './stream-directory.ts';
import type { FoundRecord } from './stream-directory.ts';
import { isHeader, parseSeal } from './segment.ts';
import type { SegmentHeader } from './segment.ts';

/**
 * An end that another stream cites. Where the header that names the stream is lost, the hash alone is left: it is
 * the `previous_hash` of that stream's first record.
 */
export interface CitedEnd {
  readonly stream: string | undefined;
  readonly sequence: number | undefined;
  readonly hash: string;
}

export interface RecoveredSegment {
  readonly first: number;
  readonly path: string;
  /** Valid end: of the last segment just behind its last good line, else the size of the file. */
  readonly bytes: number;
  readonly sealed: boolean;
  readonly lastSequence: number;
  /** Of that record; undefined where the next header is damaged. */
  readonly hash: string | undefined;
}

export interface RecoveredStream {
  readonly stream: string;
  /** In order; those behind a citation are left out. */
  readonly segments: readonly RecoveredSegment[];
  readonly end: Citation;
  /** Found in the last segment. */
  readonly damages: readonly Damage[];
  /** Bytes behind the end that are neither a record nor preallocation: a commit that was never acknowledged. */
  readonly tornBytes: number;
  /** Whole lines among them. */
  readonly tornLines: number;
  /** Calls that were let through and of which no outcome is known. */
  readonly openDecisions: readonly UnpairedDecision[];
  /** Uids of decisions whose outcome was read in the last segment, though they were not: for other streams. */
  readonly settledElsewhere: readonly string[];
  /** The newest header that can be read: resource, scope, predecessor. */
  readonly header: SegmentHeader | undefined;
}

/** Where a reader of a recovered stream stops; undefined where there is nothing to read. */
export function recoveredPosition({ stream, segments, end }: RecoveredStream): DurablePosition | undefined {
  const last = segments.at(-1);
  if (last === undefined) return undefined;
  return { stream, segment: last.first, offset: last.bytes, sequence: end.sequence, hash: end.hash };
}

/** @param citations all that is known of who ends whom (`catalogue.ts`) */
export function recoverStream(
  files: SpoolFiles,
  spoolDirectory: string,
  stream: string,
  citations: readonly CitedEnd[],
): RecoveredStream {
  const directory = `${spoolDirectory}/${stream}`;
  const heads = listSegments(files, directory).map((first) => readHead(files, { directory, stream, first }));
  const { kept, cited, hashes } = cutAtCitation(heads, stream, citations);
  const last = kept.at(-1);
  const header = kept.findLast((head) => head.header !== undefined)?.header;
  if (last === undefined) {
    const end = { stream, sequence: cited?.sequence ?? 0, hash: cited?.hash ?? ZERO_HASH };
    const nothing = { damages: [], tornBytes: 0, tornLines: 0, openDecisions: [], settledElsewhere: [] };
    return { stream, segments: [], end, ...nothing, header };
  }
  const open: UnpairedDecisions = { open: new Map(), settledElsewhere: new Set() };
  openBefore(files, { stream, heads: kept, open });
  const tail = withFile(files, last.path, (file) =>
    readTail(file, { stream, head: last, cited, hashes, open }),
  );
  const segments = kept.map((head, index): RecoveredSegment => {
    const next = kept[index + 1];
    const { first, path, bytes } = head;
    if (next !== undefined) {
      return {
        first,
        path,
        bytes,
        sealed: true,
        lastSequence: next.first - 1,
        hash: next.header?.previousHash,
      };
    }
    return {
      first,
      path,
      bytes: tail.bytes,
      sealed: tail.sealed,
      lastSequence: tail.end.sequence,
      hash: tail.end.hash,
    };
  });
  const end = { stream, sequence: tail.end.sequence, hash: tail.end.hash ?? '' };
  const { damages, tornBytes, tornLines } = tail;
  const openDecisions = [...open.open.values()];
  const settledElsewhere = [...open.settledElsewhere];
  return {
    stream,
    segments,
    end,
    damages,
    tornBytes,
    tornLines,
    openDecisions,
    settledElsewhere,
    header,
  };
}

interface Head {
  readonly first: number;
  readonly path: string;
  /** Size of the file. */
  readonly bytes: number;
  readonly header: SegmentHeader | undefined;
}

interface Where {
  readonly directory: string;
  readonly stream: string;
  readonly first: number;
}

function readHead(files: SpoolFiles, { directory, stream, first }: Where): Head {
  const path = segmentPath(directory, first);
  return withFile(files, path, (file) => ({
    first,
    path,
    bytes: file.size(),
    header: readHeader(file, stream, first),
  }));
}

function withFile<T>(files: SpoolFiles, path: string, use: (file: SpoolFile) => T): T {
  const file = files.open(path, 'read');
  try {
    return use(file);
  } finally {
    file.close();
  }
}

interface Cut {
  readonly kept: readonly Head[];
  readonly cited: ChainPlace | undefined;
  /** Hashes that end whichever stream they are found in. */
  readonly hashes: ReadonlySet<string>;
}

/** Segments that begin behind the citation hold nothing that counts. */
function cutAtCitation(heads: readonly Head[], stream: string, citations: readonly CitedEnd[]): Cut {
  const hashes = new Set(citations.filter((end) => end.stream === undefined).map((end) => end.hash));
  let cited: ChainPlace | undefined;
  for (const { stream: ended, sequence, hash } of citations) {
    if (ended !== stream || sequence === undefined) continue;
    if (cited === undefined || sequence < cited.sequence) cited = { sequence, hash };
  }
  for (const { first, header } of heads) {
    if (first === 1 || header === undefined || !hashes.has(header.previousHash)) continue;
    if (cited === undefined || first <= cited.sequence) {
      cited = { sequence: first - 1, hash: header.previousHash };
    }
  }
  const kept = cited === undefined ? heads : heads.filter(({ first }) => first <= (cited?.sequence ?? 0));
  return { kept, cited, hashes };
}

interface OpenSearch {
  readonly stream: string;
  readonly heads: readonly Head[];
  readonly open: UnpairedDecisions;
}

/** What was open when the last segment began: its header says it, or an older one and the records since. */
function openBefore(files: SpoolFiles, { stream, heads, open }: OpenSearch): void {
  const known = heads.findLastIndex(({ header }) => header !== undefined);
  for (const uid of heads[known]?.header?.open ?? []) open.open.set(uid, { decisionUid: uid });
  const recordOf = createRecordReader(stream);
  for (const { first, path, bytes } of heads.slice(Math.max(known, 0), -1)) {
    withFile(files, path, (file) => {
      for (const line of linesOf(file, bytes)) {
        const record = recordOf(line, first);
        if (record !== undefined) followRecord(open, record.body);
      }
    });
  }
}

interface TailSource extends Omit<Cut, 'kept'> {
  readonly stream: string;
  readonly head: Head;
  readonly open: UnpairedDecisions;
}

interface Tail {
  readonly bytes: number;
  readonly sealed: boolean;
  readonly end: ChainPlace;
  readonly damages: readonly Damage[];
  readonly tornBytes: number;
  readonly tornLines: number;
}

function readTail(file: SpoolFile, source: TailSource): Tail {
  const { stream, head, cited, open } = source;
  const damages: Damage[] = [];
  const linker = createLinker<FoundRecord>(
    { sequence: head.first - 1, hash: head.header?.previousHash },
    {
      release: (record) => followRecord(open, record.body),
      missing: (from, to, lastHash) => void damages.push({ stream, from, to, lastHash }),
    },
  );
  const tail = new TailReader(source, linker, promised(file, source));
  let tornBytes = 0;
  let tornLines = 0;
  for (const line of linesOf(file, head.bytes)) {
    if (!tail.over && tail.take(line)) continue;
    tornBytes = Math.max(tornBytes, line.contentEnd - tail.bytes);
    if (line.json !== undefined) tornLines += 1;
  }
  if (cited !== undefined) linker.anchor(cited);
  const end = linker.finish();
  if (cited === undefined && tail.badLines > 0) {
    // Acknowledged, and nothing behind them says how many they were: each line was one.
    damages.push({ stream, from: end.sequence + 1, to: end.sequence + tail.badLines, lastHash: end.hash });
  }
  return { bytes: tail.bytes, sealed: tail.sealed, end, damages, tornBytes, tornLines };
}

function* linesOf(file: SpoolFile, bytes: number): Generator<ScannedLine> {
  const scanner = createScanner(file, 0);
  for (let line = scanner.next(bytes); line !== undefined; line = scanner.next(bytes)) yield line;
}

/** Bytes of the segment that its own lines say were durable. What a successor cites was durable too. */
function promised(file: SpoolFile, { head, cited }: TailSource): number {
  if (cited !== undefined) return Infinity;
  let offset = 0;
  for (const line of linesOf(file, head.bytes)) offset = Math.max(offset, line.durableBefore);
  return offset;
}

/** Goes through the last segment line by line, and knows where it ends. */
class TailReader {
  /** Behind the last line that counts. */
  bytes = 0;
  sealed = false;
  /** What follows does not count. */
  over = false;
  /** Bad lines since the last good one. */
  badLines = 0;
  readonly #source: TailSource;
  readonly #linker: Linker<FoundRecord>;
  readonly #promised: number;
  readonly #recordOf: ReturnType<typeof createRecordReader>;
  /** The line before, and the place of the record in it or before it. */
  #lineOffset = 0;
  #before: ChainPlace;
  /** Something before is not as it was written. */
  #disturbed = false;

  constructor(source: TailSource, linker: Linker<FoundRecord>, promised: number) {
    this.#source = source;
    this.#linker = linker;
    this.#promised = promised;
    this.#recordOf = createRecordReader(source.stream);
    this.#before = linker.tip();
  }

  /** @returns whether the line is within what counts, be it good or damaged; if not, all is over */
  take(line: ScannedLine): boolean {
    const { cited } = this.#source;
    const { json } = line;
    if (json !== undefined && line.offset === 0 && isHeader(json)) return this.#counts(line);
    if (json !== undefined && this.#isSeal(line, json)) {
      this.sealed = true;
      this.over = true;
      return this.#counts(line);
    }
    const record = this.#recordOf(line, this.#source.head.first);
    const isVoid = record !== undefined && cited !== undefined && record.sequence > cited.sequence;
    if (record === undefined || isVoid) return this.#bad(line);
    if (!this.#fits(record)) {
      if (line.offset >= this.#promised) return this.#bad(line);
      this.#disturbed = true;
    }
    this.#linker.push(record);
    this.#before = record;
    this.over = this.#isEnd(record);
    return this.#counts(line);
  }

  #counts(line: ScannedLine): true {
    this.bytes = line.end;
    this.#lineOffset = line.offset;
    this.badLines = 0;
    return true;
  }

  #bad(line: ScannedLine): boolean {
    if (line.offset >= this.#promised) {
      this.over = true;
      return false;
    }
    // Of a stream that is cited, what follows the last good line may be preallocation, or void.
    if (this.#promised === Infinity) return true;
    this.bytes = line.end;
    this.#lineOffset = line.offset;
    this.badLines += 1;
    this.#disturbed = true;
    return true;
  }

  /** In its place; or written when all before it was durable, so that it is what is before it that is wrong. */
  #fits(record: FoundRecord): boolean {
    const before = this.#before;
    if (follows(before, record)) return true;
    if (record.durableBefore <= this.#lineOffset || record.sequence <= before.sequence) return false;
    return this.#disturbed || record.sequence === before.sequence + 1;
  }

  #isSeal(line: ScannedLine, json: string): boolean {
    const seal = parseSeal(json);
    const { stream, cited } = this.#source;
    if (seal?.stream !== stream) return false;
    const { lastSequence: sequence, hash } = seal;
    if (cited !== undefined && sequence > cited.sequence) return false;
    const tip = this.#before;
    const agrees = sequence === tip.sequence && (tip.hash === undefined || hash === tip.hash);
    const vouches = line.durableBefore > this.#lineOffset && sequence >= this.#linker.tip().sequence;
    if (agrees || vouches) this.#linker.anchor({ sequence, hash });
    return agrees || vouches;
  }

  #isEnd({ sequence, hash }: FoundRecord): boolean {
    const { cited, hashes } = this.#source;
    return hashes.has(hash) || (cited?.sequence === sequence && cited.hash === hash);
  }
}
