/** When it is signed how far a stream has come, so that a cut-off end shows. */
import { checkpointFields, nextCheckpointDelayMs } from '../event/checkpoint.ts';
import type { Draft } from '../event/recorder.ts';
import type { SigningKey } from '../event/signing.ts';
import { SEVERITY } from '../event/vocabulary.ts';
import type { Citation } from '../spool/position.ts';

const LOOK_MS = 1000;

export interface CheckpointsOptions {
  /** Without one there are no checkpoints. */
  readonly signing: SigningKey | undefined;
  /** How far our own stream has come. */
  readonly position: () => Citation;
  /** Puts a record into the spool. @returns its uid */
  readonly record: (draft: Draft) => string;
  /** Resolves when it is durable; rejects where that fails, and then it is tried again. */
  readonly written: (uid: string) => Promise<void>;
  readonly after: (delayMs: number, run: () => void) => void;
}

export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #lastMs = performance.now();
  #recordedSince = false;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /** Something was recorded that no checkpoint covers yet. */
  recorded(name: string): void {
    if (name !== 'verdict.checkpoint') this.#recordedSince = true;
  }

  /** Signs how far a stream has come; our own, unless another is given. Resolves when that is durable. */
  sign(end?: Citation): Promise<void> | undefined {
    const { signing, position, record, written } = this.#options;
    const place = end ?? position();
    if (signing === undefined || place.sequence === 0) return undefined;
    if (end === undefined) {
      this.#lastMs = performance.now();
      this.#recordedSince = false;
    }
    const fields = checkpointFields(signing, place);
    return written(record({ name: 'verdict.checkpoint', severity: SEVERITY.info, fields }));
  }

  /** From now on, as often as is due. */
  begin(): void {
    const delayMs = nextCheckpointDelayMs({
      nowMs: performance.now(),
      lastMs: this.#lastMs,
      recorded: this.#recordedSince,
    });
    // At least once a second, because what ends idleness also brings the next checkpoint nearer.
    this.#options.after(Math.min(Math.max(delayMs, 1), LOOK_MS), () => {
      if (delayMs <= LOOK_MS) this.sign()?.catch(() => {});
      this.begin();
    });
  }
}
