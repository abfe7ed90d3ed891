/** The time of records: nanoseconds, strictly increasing, close to the wall clock. */

export interface EventTime {
  /** Seconds since the Unix epoch and nanoseconds, as OTel's HrTime. */
  readonly hrTime: [seconds: number, nanoseconds: number];
  /** RFC 3339, UTC, nine digits of a second. */
  readonly rfc3339: string;
}

export interface EventClock {
  /** The time now, at least 1 ns after the tick before, also when the wall clock is set back. */
  tick(): EventTime;
}

/** Nanoseconds since the Unix epoch. */
export type NowSource = () => bigint;

const NS_PER_MS = 1_000_000n;
const NS_PER_SECOND = 1_000_000_000n;
/** How far the monotonic clock may carry the time away from the wall clock before it is anchored anew. */
const DRIFT_MAX_NS = 2n * NS_PER_MS;

export function createEventClock(now: NowSource = createNow()): EventClock {
  let last = 0n;
  return {
    tick() {
      const read = now();
      last = read > last ? read : last + 1n;
      return eventTime(last);
    },
  };
}

/**
 * The wall clock with the resolution of the monotonic one: it runs on the latter, and is set to the former when
 * they part (a step, a slew, a machine that slept).
 *
 * @param wallMs milliseconds since the Unix epoch
 * @param monotonicNs nanoseconds since any fixed moment
 */
export function createNow(
  wallMs: () => number = Date.now,
  monotonicNs: () => bigint = () => process.hrtime.bigint(),
): NowSource {
  const readWall = (): bigint => BigInt(Math.floor(wallMs())) * NS_PER_MS;
  let offset = readWall() - monotonicNs();
  return () => {
    const wall = readWall();
    const monotonic = monotonicNs();
    const ahead = monotonic + offset - wall;
    if (ahead < 0n || ahead > DRIFT_MAX_NS) offset = wall - monotonic;
    return monotonic + offset;
  };
}

/** The last second that was written: thousands of times fall into one, and a calendar is slow. */
let written = { seconds: Number.NaN, text: '' };

/** @param ns nanoseconds since the Unix epoch */
export function eventTime(ns: bigint): EventTime {
  const seconds = Number(ns / NS_PER_SECOND);
  const nanoseconds = Number(ns % NS_PER_SECOND);
  if (seconds !== written.seconds) {
    written = { seconds, text: new Date(seconds * 1000).toISOString().slice(0, -'.000Z'.length) };
  }
  return {
    hrTime: [seconds, nanoseconds],
    rfc3339: `${written.text}.${String(nanoseconds).padStart(9, '0')}Z`,
  };
}

/** The HrTime of a time that `tick` wrote. Throws TypeError on anything else. */
export function parseEventTime(rfc3339: string): [seconds: number, nanoseconds: number] {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z$/.exec(rfc3339);
  const ms = Date.parse(`${parts?.[1]}Z`);
  if (Number.isNaN(ms)) throw new TypeError('not the time of a record');
  return [ms / 1000, Number(parts?.[2])];
}
