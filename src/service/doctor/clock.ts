/** Whether our clock can be believed. Pure. */
import type { Finding } from './finding.ts';
import { timeText } from './quantities.ts';

export interface ClockReading {
  /** Whose Date header it was. */
  readonly endpoint: string;
  /** The header, milliseconds since the Unix epoch. */
  readonly theirsMs: number;
  /** Ours when the request went out and when the answer was there. */
  readonly sentMs: number;
  readonly answeredMs: number;
}

/** A Date header has whole seconds, and is cut off, not rounded. */
const DATE_STEP_MS = 1000;
/** Beyond it, records of two machines stand in the wrong order for whoever reads them side by side. */
const SKEW_MS_MAX = 5000;
/** How far a record may be ahead: one that was being written while the clock was read. */
const AHEAD_MS_MAX = 1000;

/** How far we are ahead of them; 0 within what the header can tell. */
export function skewMs({ theirsMs, sentMs, answeredMs }: Omit<ClockReading, 'endpoint'>): number {
  const [earliest, latest] = [theirsMs, theirsMs + DATE_STEP_MS];
  if (sentMs > latest) return sentMs - latest;
  return answeredMs < earliest ? answeredMs - earliest : 0;
}

export interface ClockOptions {
  readonly readings: readonly ClockReading[];
  /** Of the newest record in the spool. */
  readonly newestMs: number | undefined;
  readonly nowMs: number;
}

export function findClock({ readings, newestMs, nowMs }: ClockOptions): Finding[] {
  const findings = readings.map((reading): Finding => {
    const skew = skewMs(reading);
    const facts = { skew_ms: skew };
    const base = { check: 'clock', subject: reading.endpoint, facts } as const;
    if (Math.abs(skew) <= SKEW_MS_MAX) return { ...base, level: 'ok', found: 'agrees with its Date header' };
    const found = `this clock is ${timeText(Math.abs(skew))} ${skew > 0 ? 'ahead of' : 'behind'} its Date header`;
    return {
      ...base,
      level: 'warn',
      found,
      advice: 'Run a time service (chrony, systemd-timesyncd) on both',
    };
  });
  if (newestMs === undefined) return findings;
  const aheadMs = newestMs - nowMs;
  if (aheadMs <= AHEAD_MS_MAX) {
    return [
      ...findings,
      { check: 'clock', subject: 'spool', level: 'ok', found: 'no record is later than now' },
    ];
  }
  const found = `the last record is ${timeText(aheadMs)} ahead of this clock, which was set back`;
  const advice = 'Times of records go on increasing within a stream, but not from one stream to the next';
  const facts = { ahead_ms: aheadMs };
  return [...findings, { check: 'clock', subject: 'spool', level: 'warn', found, advice, facts }];
}
