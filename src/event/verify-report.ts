/** What verification found, as data and as sentences. */

/** Sequences, both ends included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * - `unreadable`: what is not the body of a record
 * - `changed`: a record that has not the hash that its successor cites
 * - `reformatted`: says the same, but is not the text that was hashed
 * - `attributes`: attributes that say something else than the body
 * - `conflicting`: two different records of one sequence
 * - `missing`: records that are not here
 * - `beyond_end`: records after the stream had ended
 * - `no_end`: nothing says that the last record is the last
 * - `unsigned`: records that no good checkpoint vouches for
 * - `contradicted`: a record that is not the one that a checkpoint names
 * - `bad_signature`: a checkpoint that its key did not sign
 * - `unknown_key`: a key that is not among those given
 * - `key_changed`: two keys in one stream, and no record of a rotation
 * - `filtered`: a destination that does not get every kind of record
 * - `absent`: a whole stream that is not here though a record tells of it
 * - `predecessor`: a stream that goes on from a record that is not here
 * - `uid_reused`: one uid at two places
 * - `nothing`: no record at all
 */
export type FindingKind =
  | 'unreadable'
  | 'changed'
  | 'reformatted'
  | 'attributes'
  | 'conflicting'
  | 'missing'
  | 'beyond_end'
  | 'no_end'
  | 'unsigned'
  | 'contradicted'
  | 'bad_signature'
  | 'unknown_key'
  | 'key_changed'
  | 'filtered'
  | 'absent'
  | 'predecessor'
  | 'uid_reused'
  | 'nothing';

export interface Finding {
  readonly kind: FindingKind;
  /** Absent where it concerns none. */
  readonly stream?: string;
  readonly range?: Range;
  /** A sentence, without stream and range. */
  readonly text: string;
}

/** What shows that a stream's last record is its last. */
export type EndKind = 'stop' | 'successor' | 'adopted' | 'living' | 'expected' | 'none';

export interface StreamReport {
  readonly stream: string;
  readonly ok: boolean;
  /** Different records; duplicates are counted apart and harm nothing. */
  readonly records: number;
  readonly duplicates: number;
  /** Unbroken stretches of the chain; one where all is well. At most RANGES_MAX, the first ones. */
  readonly proven: readonly Range[];
  /** Last record that a good checkpoint vouches for; absent where no key was given. */
  readonly signedTo?: number;
  readonly end: EndKind;
  /** Ids of the keys that the stream names. */
  readonly keys: readonly string[];
  /** RFC 3339, UTC; of the first and last record. */
  readonly firstTime?: string;
  readonly lastTime?: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly records: number;
  readonly duplicates: number;
  /** Records that `doctor` sent; each is a stream of its own, and none of them is in `records` or `streams`. */
  readonly probes: number;
  /** `checked` against the keys given; `not_checked` where none was given: then whoever can write can forge. */
  readonly signatures: 'checked' | 'not_checked';
  readonly streams: readonly StreamReport[];
  /** At most FINDINGS_MAX of one kind in one stream. */
  readonly findings: readonly Finding[];
  /** Findings beyond that. */
  readonly more: number;
}

export const FINDINGS_MAX = 100;
export const RANGES_MAX = 100;

/** Keeps the first findings of each kind and stream, and counts the rest: a filtered destination has a million. */
export class Findings {
  readonly #kept: Finding[] = [];
  readonly #counts = new Map<string, number>();
  readonly #streams = new Set<string>();
  #more = 0;

  add(finding: Finding): void {
    const key = `${finding.kind} ${finding.stream ?? ''}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    if (finding.stream !== undefined) this.#streams.add(finding.stream);
    if (count <= FINDINGS_MAX) this.#kept.push(finding);
    else this.#more += 1;
  }

  /** Whether anything was found in this stream. */
  concerns(stream: string): boolean {
    return this.#streams.has(stream);
  }

  get kept(): readonly Finding[] {
    return this.#kept;
  }

  get more(): number {
    return this.#more;
  }
}

const ENDS: Readonly<Record<EndKind, string>> = {
  stop: 'it was stopped in good order',
  successor: 'another stream goes on from its end',
  adopted: 'its end is named by the process that took it over',
  living: 'it is still being written',
  expected: 'it was to be checked so far',
  none: 'nothing shows that this is its end',
};

/** The report for people: one line a stream, one a finding, one to sum up. Holds text from records: escape it. */
export function reportLines(report: VerifyReport): string[] {
  const lines = report.streams.map(streamLine);
  for (const { stream, range, text } of report.findings) {
    const where = [stream, range && rangeText(range)].filter((part) => part !== undefined).join(' ');
    lines.push(`  ! ${where === '' ? '' : `${where}: `}${text}`);
  }
  if (report.more > 0) lines.push(`  ! and ${report.more} findings more of the same kinds`);
  const unsigned =
    report.signatures === 'checked'
      ? ''
      : ' Unsigned: signatures were not checked, because no key was given (--key); whoever can write records could have made these.';
  lines.push(`${report.ok ? 'All proven' : 'NOT proven'}: ${counts(report)}.${unsigned}`);
  return lines;
}

/** `3` or `3 to 7`. */
export function rangeText({ from, to }: Range): string {
  return from === to ? String(from) : `${from} to ${to}`;
}

function streamLine(stream: StreamReport): string {
  const proven = stream.proven.map(rangeText).join(', ');
  const signed =
    stream.signedTo === undefined
      ? ''
      : stream.signedTo === 0
        ? '; nothing signed'
        : `; signed up to ${stream.signedTo}`;
  const duplicates = stream.duplicates === 0 ? '' : `; ${plural(stream.duplicates, 'duplicate')}`;
  const times = stream.firstTime === undefined ? '' : ` (${stream.firstTime} to ${stream.lastTime ?? ''})`;
  const mark = stream.ok ? 'ok ' : 'BAD';
  return `${mark} ${stream.stream}: ${plural(stream.records, 'record')}, unbroken from ${proven}${times}${signed}${duplicates}; ${ENDS[stream.end]}`;
}

function counts({ records, duplicates, probes, streams }: VerifyReport): string {
  const extra = duplicates === 0 ? '' : `, ${plural(duplicates, 'duplicate')} left out`;
  const sent = probes === 0 ? '' : `; beside them ${plural(probes, 'record')} that doctor sent`;
  return `${plural(records, 'record')} in ${plural(streams.length, 'stream')}${extra}${sent}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
