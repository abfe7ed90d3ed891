/** Places in streams. */

/** How far a stream is on stable storage. */
export interface DurablePosition {
  /** Stream id, a UUID; also the name of its directory. */
  readonly stream: string;
  /** First sequence of the segment that `offset` is in. */
  readonly segment: number;
  /** Bytes of that segment that are durable; a reader never goes beyond. */
  readonly offset: number;
  /** Last durable sequence; 0 before the first. */
  readonly sequence: number;
  /** SHA-256 (hex) of that record's body. */
  readonly hash: string;
}

/** The end of a stream as a later one cites it. */
export interface Citation {
  readonly stream: string;
  readonly sequence: number;
  readonly hash: string;
}

/** One record as a reader hands it out. */
export interface SpooledRecord {
  readonly body: string;
  readonly stream: string;
  readonly sequence: number;
  readonly segment: number;
  /** Offset just behind the record's line. */
  readonly end: number;
}

/** What a reader found missing or unreadable: sequences `from` to `to`, the rest is intact. */
export interface Damage {
  readonly stream: string;
  readonly from: number;
  readonly to: number;
  /** Hash of the last record before the damage, where it is known. */
  readonly lastHash: string | undefined;
}

export interface ReadBatch {
  readonly records: readonly SpooledRecord[];
  readonly damages: readonly Damage[];
}

/** Reads one stream in order, from a cursor up to what is durable. */
export interface StreamReader {
  readonly stream: string;
  /**
   * The next records; empty when there are none for now.
   * @param recordsMax at most so many
   * @param bytesMax at most so many bytes of bodies, but at least one record
   */
  next(recordsMax: number, bytesMax: number): ReadBatch;
  /** Whether the stream is over (sealed, ended by a successor, or its process dead) and all of it has been read. */
  ended(): boolean;
  close(): void;
}

/** How far one exporter is with one stream. */
export interface CursorPosition {
  /** Last acknowledged sequence; 0 before the first. */
  readonly sequence: number;
  /** Where the next record begins. */
  readonly segment: number;
  readonly offset: number;
}
