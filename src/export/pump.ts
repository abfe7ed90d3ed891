/**
 * Delivers spooled records to one exporter: the next batch, until it is acknowledged, then the one after. Whatever
 * fails is sent again for ever, in order; a record is set aside only when it is proven that it alone is at fault.
 */
import { bodyHash } from '../event/stamp.ts';
import type { CursorPosition, ReadBatch, SpooledRecord } from '../spool/position.ts';
import { createThrottle } from '../telemetry/throttle.ts';
import { judgeResult } from './acknowledgement.ts';
import type { Failure, Judgement } from './acknowledgement.ts';
import { backoffMs, slowBackoffMs } from './backoff.ts';
import { createBatchFeed } from './batch-feed.ts';
import { createCursorSchedule } from './cursor-schedule.ts';
import { DEAD_LETTERS_MAX } from './pump-options.ts';
import type { PumpLimits, PumpOptions, PumpStatus, Sample } from './pump-options.ts';
import { SpooledLogRecord } from './spooled-log-record.ts';
import type { Origin } from './spooled-log-record.ts';
import { backlogOf } from './stream-source.ts';
import type { SourceStream } from './stream-source.ts';
import { inTime } from './watchdog.ts';

const HOUR_MS = 3_600_000;

export interface Pump {
  /** There is something new: more that is durable, or another stream. */
  wake(): void;
  /** Delivers what waits until that is done, an attempt fails, or the time is up; then lets go of everything. */
  stop(deadlineMs: number): Promise<void>;
  status(): PumpStatus;
}

export function createPump(options: PumpOptions): Pump {
  const pump = new StopAndWait(options);
  const running = pump.run();
  return {
    wake: () => pump.wake(),
    stop: (deadlineMs) => pump.stop(deadlineMs, running),
    status: () => pump.status(),
  };
}

interface Held extends ReadBatch {
  readonly from: SourceStream;
}

/** How a rest ended. */
type Rested = 'woken' | 'elapsed';

class StopAndWait {
  readonly #options: PumpOptions;
  readonly #feed;
  readonly #cursors;
  readonly #throttle;
  /** Times of dead letters in the last hour. */
  #letters: number[] = [];
  #delivered = 0;
  #retried = 0;
  #rejected = 0;
  #deadLettered = 0;
  /** In a row. */
  #failures = 0;
  #alarm: string | undefined;
  /** What keeps a stream from being read, as of the last look. */
  #unreadable: string | undefined;
  #oldestMs: number | undefined;
  #good: Sample | undefined;
  #stopping = false;
  #over = false;
  /** Set by wake, until somebody looks for work again. */
  #news = false;
  #endRest: ((how: Rested) => void) | undefined;

  constructor(options: PumpOptions) {
    const { name, diagnostics, timers, limits, onAcknowledged } = options;
    this.#options = options;
    this.#throttle = createThrottle(diagnostics, { now: () => timers.nowMs() });
    this.#feed = createBatchFeed({ ...options, ...limits });
    this.#cursors = createCursorSchedule({
      timers,
      onFlushed: ({ stream, cursor, reader }) => {
        onAcknowledged?.(stream, cursor.position()?.sequence ?? 0);
        if (reader.ended()) this.wake();
      },
      onFailed: (_, error) =>
        this.#throttle.say(
          'error',
          'cursor',
          `exporter ${name}: its cursor cannot be written: ${String(error)}`,
        ),
    });
  }

  wake(): void {
    this.#news = true;
    this.#endRest?.('woken');
  }

  status(): PumpStatus {
    return {
      backlogRecords: backlogOf(this.#options.source),
      oldestMs: this.#oldestMs,
      delivered: this.#delivered,
      retried: this.#retried,
      rejected: this.#rejected,
      deadLettered: this.#deadLettered,
      alarm: this.#alarm ?? this.#unreadable,
    };
  }

  async stop(deadlineMs: number, running: Promise<void>): Promise<void> {
    const { timers } = this.#options;
    const endMs = timers.nowMs() + deadlineMs;
    this.#stopping = true;
    this.#endRest?.('elapsed');
    await inTime(running, undefined, deadlineMs, timers);
    this.#over = true;
    await this.#feed.close(Math.max(0, endMs - timers.nowMs()));
    this.#cursors.flush();
    this.#throttle.flush();
  }

  async run(): Promise<void> {
    let fullOrFirst = true;
    let sentMs = 0;
    while (!this.#over) {
      const { timers, limits } = this.#options;
      if (!fullOrFirst) await this.#rest(sentMs + limits.lingerMs - timers.nowMs(), false);
      this.#news = false;
      const held = await this.#read();
      if (held !== undefined) {
        sentMs = timers.nowMs();
        fullOrFirst = isFull(held.records, limits);
        await this.#deliver(held);
        continue;
      }
      this.#oldestMs = undefined;
      if (this.#stopping) break;
      await this.#rest(undefined, true);
    }
    this.#cursors.flush();
  }

  /** The next batch of the oldest stream that has one. A stream that cannot be read holds up no other. */
  async #read(): Promise<Held | undefined> {
    while (!this.#over) {
      this.#unreadable = undefined;
      for (const from of this.#options.source.streams()) {
        const batch = this.#readFrom(from);
        if (batch !== undefined) return batch;
      }
      if (this.#unreadable === undefined) return undefined;
      await this.#pause({ kind: 'retry', text: this.#unreadable, alarm: true });
    }
    return undefined;
  }

  #readFrom(from: SourceStream): Held | undefined {
    const { name, source, limits } = this.#options;
    try {
      const batch = from.reader.next(limits.recordsMax, limits.bytesMax);
      if (batch.records.length > 0 || batch.damages.length > 0) return { ...batch, from };
      if (from.reader.ended()) {
        this.#cursors.flush();
        // Whoever lets go of it must leave a cursor that says so.
        if (this.#cursors.isDurable(from)) source.finished(from);
      }
    } catch (error) {
      this.#unreadable = `the spool cannot be read: ${String(error)}`;
      const text = `exporter ${name}: records of stream ${from.stream} wait: ${this.#unreadable}`;
      this.#throttle.say('error', `${this.#unreadable} ${from.stream}`, text);
    }
    return undefined;
  }

  async #deliver({ from, records, damages }: Held): Promise<void> {
    for (const damage of damages) await this.#onRecord(() => this.#options.onDamage(damage));
    if (records.length === 0) this.#passDamage(from);
    const chosen = await this.#choose(records);
    const work = chosen.length === 0 ? [] : [chosen];
    while (!this.#over) {
      const [slice] = work;
      const [first] = slice ?? [];
      if (slice === undefined || first === undefined) return this.#passUnchosen(from, records, chosen);
      const judgement = await this.#attempt(slice, from.origin);
      // What is acknowledged after the end is sent once more by whoever comes next.
      if (this.#over) return;
      if (judgement.kind === 'acknowledged') {
        this.#acknowledge(from, slice);
        work.shift();
      } else if (judgement.kind === 'retry') {
        await this.#pause(judgement);
      } else if (slice.length > 1) {
        this.#rejected += 1;
        const middle = Math.ceil(slice.length / 2);
        work.splice(0, 1, slice.slice(0, middle), slice.slice(middle));
      } else {
        this.#rejected += 1;
        if (await this.#setAside(from, first, judgement.text)) work.shift();
      }
    }
  }

  /** What of a batch this exporter is to send. */
  async #choose(records: readonly SpooledRecord[]): Promise<readonly SpooledRecord[]> {
    const { select, timers } = this.#options;
    if (select === undefined) return records;
    const chosen = records.filter(({ body }) => select(body));
    // Nothing to send is nothing to wait for, and a long backlog of that must not hold up the other exporters.
    if (chosen.length === 0) await new Promise<void>((resolve) => timers.after(0, resolve));
    return chosen;
  }

  #passUnchosen(
    from: SourceStream,
    records: readonly SpooledRecord[],
    chosen: readonly SpooledRecord[],
  ): void {
    const last = records.at(-1);
    if (last !== undefined && last !== chosen.at(-1)) this.#pass(from, endOf(last), 1);
  }

  async #attempt(records: readonly SpooledRecord[], origin: Origin): Promise<Judgement> {
    const { name, timers } = this.#options;
    const logRecords = records.map(({ body }) => new SpooledLogRecord(body, origin));
    try {
      const [seconds = 0, nanoseconds = 0] = logRecords[0]?.hrTime ?? [];
      this.#oldestMs = seconds * 1000 + Math.floor(nanoseconds / 1e6);
    } catch (error) {
      return { kind: 'refused', text: `a record cannot be made into a LogRecord: ${String(error)}` };
    }
    const result = await this.#feed.send(logRecords);
    return judgeResult(result, { endpoint: name, nowMs: timers.nowMs() });
  }

  #acknowledge(from: SourceStream, records: readonly SpooledRecord[]): void {
    const last = records.at(-1);
    if (last === undefined) return;
    this.#good = { record: last, origin: from.origin };
    this.#delivered += records.length;
    this.#pass(from, endOf(last), records.length);
    this.#recovered();
  }

  #pass(from: SourceStream, position: CursorPosition, records: number): void {
    from.cursor.advance(position);
    this.#cursors.advanced(from, records);
  }

  /** Past damage that no record follows, once it is on record. */
  #passDamage(from: SourceStream): void {
    const position = this.#over ? undefined : from.reader.position?.();
    if (position !== undefined) this.#pass(from, position, 0);
  }

  #recovered(): void {
    const { name, diagnostics } = this.#options;
    if (this.#failures > 0) diagnostics.info(`exporter ${name} delivers again`);
    this.#failures = 0;
    this.#alarm = undefined;
  }

  /**
   * The destination refuses one record sent alone. It is set aside only when one that is known to be good is taken
   * right after, and it is refused once more: else it is the set-up that is wrong, and setting aside would empty the
   * spool into the bin.
   * @returns whether the record has been dealt with
   */
  async #setAside(from: SourceStream, record: SpooledRecord, why: string): Promise<boolean> {
    const { name, random, timers, onDeadLetter } = this.#options;
    const slowly = (text: string): Promise<void> =>
      this.#pause({ kind: 'retry', text: `${why}; ${text}`, alarm: true, afterMs: slowBackoffMs(random) });

    const good = this.#good ?? this.#options.knownGood?.();
    if (good === undefined || isSame(good.record, record)) {
      await slowly('nothing was delivered yet that would show whether it is this record or the set-up');
      return false;
    }
    const probe = await this.#attempt([good.record], good.origin);
    if (this.#over) return false;
    if (probe.kind === 'retry') {
      await this.#pause(probe);
      return false;
    }
    if (probe.kind === 'refused') {
      await slowly('a record that was taken before is refused too, so it is the set-up that is wrong');
      return false;
    }
    // Once more: the set-up may have been put right between the refusal and the probe.
    const again = await this.#attempt([record], from.origin);
    if (this.#over) return false;
    if (again.kind === 'acknowledged') {
      this.#acknowledge(from, [record]);
      return true;
    }
    if (again.kind === 'retry') {
      await this.#pause(again);
      return false;
    }
    const nowMs = timers.nowMs();
    this.#letters = this.#letters.filter((atMs) => nowMs - atMs < HOUR_MS);
    if (this.#letters.length >= DEAD_LETTERS_MAX) {
      await slowly(`${DEAD_LETTERS_MAX} records were set aside within the hour, so this one waits`);
      return false;
    }
    const { body, stream, sequence } = record;
    const at = new Date(nowMs).toISOString();
    const letter = { exporter: name, stream, sequence, hash: bodyHash(body), why, at, body };
    if (!(await this.#onRecord(() => onDeadLetter(letter)))) return false;
    this.#letters.push(nowMs);
    this.#deadLettered += 1;
    this.#throttle.say(
      'error',
      `dead letter ${why}`,
      `exporter ${name}: record ${sequence} is set aside: ${why}`,
    );
    this.#pass(from, endOf(record), 1);
    this.#cursors.flush();
    this.#recovered();
    return true;
  }

  /** Until it is on record that something is missing, nothing goes on. @returns false when it was stopped before */
  async #onRecord(put: () => Promise<void>): Promise<boolean> {
    while (!this.#over) {
      try {
        await put();
        return true;
      } catch (error) {
        await this.#pause({ kind: 'retry', text: `a gap cannot be recorded: ${String(error)}`, alarm: true });
      }
    }
    return false;
  }

  async #pause({ text, alarm, afterMs = 0 }: Extract<Failure, { kind: 'retry' }>): Promise<void> {
    const { name, random } = this.#options;
    this.#failures += 1;
    this.#retried += 1;
    this.#alarm = alarm ? text : undefined;
    const delayMs = Math.max(afterMs, backoffMs(this.#failures, random));
    const seconds = Math.max(1, Math.round(delayMs / 1000));
    this.#throttle.say(
      alarm ? 'error' : 'warn',
      text,
      `exporter ${name}: records wait in the spool: ${text}; trying again in ${seconds} s`,
    );
    // Whoever stops has a spool that keeps the rest: an exporter that fails now is not waited for.
    if (this.#stopping) this.#over = true;
    else await this.#rest(delayMs, false);
  }

  /** Waits for the time, or for news where those count; stopping ends every rest. */
  async #rest(delayMs: number | undefined, forNews: boolean): Promise<void> {
    if (this.#stopping || (forNews && this.#news) || (delayMs !== undefined && delayMs <= 0)) return;
    let cancel = (): void => {};
    await new Promise<void>((resolve) => {
      this.#endRest = (how) => {
        if (how === 'elapsed' || forNews) resolve();
      };
      if (delayMs !== undefined) cancel = this.#options.timers.after(delayMs, resolve);
    });
    this.#endRest = undefined;
    cancel();
  }
}

function isFull(records: readonly SpooledRecord[], { recordsMax, bytesMax }: PumpLimits): boolean {
  if (records.length >= recordsMax) return true;
  return records.reduce((sum, { body }) => sum + body.length, 0) >= bytesMax / 2;
}

function endOf({ sequence, segment, end }: SpooledRecord): CursorPosition {
  return { sequence, segment, offset: end };
}

function isSame(a: SpooledRecord, b: SpooledRecord): boolean {
  return a.stream === b.stream && a.sequence === b.sequence;
}
