/** What the classes of OCSF have in common, and what the events of all classes are made from. */
import type { Event } from '../event/vocabulary.ts';
import type { RecordOrigin } from './record.ts';
import type { Untold } from './untold.ts';

export const NS_PER_MS = 1e6;

/** OCSF's status_id; 99, other, has a name of its own. */
export const STATUS: Readonly<Record<number, string>> = { 0: 'Unknown', 1: 'Success', 2: 'Failure' };

/** What a record is mapped from. */
export interface Subject {
  readonly event: Untold;
  /** All of the event, for what is only looked at. */
  readonly attributes: Event;
  readonly origin: RecordOrigin;
  /** Since the Unix epoch. */
  readonly timeMs: number;
  readonly severityNumber: number;
}

/** What of an OCSF event depends on the kind of record. */
export interface Part {
  readonly classUid: 0 | 6002 | 6003 | 6008;
  /** 99 is OCSF's "other", which has the source's own name. */
  readonly activityId: number;
  readonly activityName: string;
  readonly severityId: number;
  readonly statusId: 0 | 1 | 2 | 99;
  /** With statusId 99. */
  readonly status?: string;
  readonly statusCode?: string | undefined;
  readonly detail?: string | undefined;
  readonly interval?: Interval | undefined;
  /** OCSF profiles that the fields are of. */
  readonly profiles: readonly string[];
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Milliseconds. */
export interface Interval {
  readonly start_time: number;
  readonly end_time: number;
  readonly duration: number;
}

/** What took `durationNs` and ended with the record. The nanoseconds themselves stay in `unmapped`. */
export function intervalOf(timeMs: number, durationNs: unknown): Interval | undefined {
  if (typeof durationNs !== 'number' || !(durationNs >= 0)) return undefined;
  const duration = Math.floor(durationNs / NS_PER_MS);
  return { start_time: timeMs - duration, end_time: timeMs, duration };
}

/** From OTel's severity number to OCSF's severity_id. */
export function severityOf(number: number): number {
  if (number >= 21) return 5;
  if (number >= 17) return 4;
  if (number >= 13) return 3;
  return number >= 10 ? 2 : 1;
}

/** @param applied whether what it says was done; undefined where no policy spoke */
export function policyOf(event: Untold, applied: boolean | undefined): object | undefined {
  const policy = {
    name: event.text('verdict.policy.name'),
    uid: event.text('verdict.policy.digest'),
    version: event.text('verdict.policy.version'),
    desc: event.text('verdict.policy.file'),
  };
  const isSilent = Object.values(policy).every((value) => value === undefined);
  if (isSilent && applied === undefined) return undefined;
  return { type: 'MCP tool policy', ...policy, is_applied: applied };
}
