/** The bare disk: what a write and a sync of it cost, without anything of ours. */
import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { summarise } from './statistics.ts';
import type { Series } from './statistics.ts';

/** Of the written-ahead file; it is written round and round. */
const FILLED_BYTES = 16 * 1024 * 1024;

export type BareKind = 'append' | 'filled';

export interface BareOptions {
  readonly directory: string;
  readonly durationMs: number;
  /** Records that one write and sync makes durable. */
  readonly records: number;
  readonly recordBytes: number;
  /** Whether the file grows, or has been filled with zeros before. */
  readonly kind: BareKind;
}

/** A write, an fdatasync, and again. Each record of a write has waited for all of it. */
export function bareLoop(options: BareOptions): Series {
  const { directory, durationMs, records, recordBytes, kind } = options;
  const path = join(directory, `bare-${process.pid}`);
  const bytes = Buffer.alloc(records * recordBytes, 'a');
  const file = openSync(path, 'w');
  try {
    if (kind === 'filled') {
      writeSync(file, Buffer.alloc(FILLED_BYTES));
      fdatasyncSync(file);
    }
    const latenciesUs: number[] = [];
    const startMs = performance.now();
    let beforeMs = startMs;
    let offset = 0;
    while (beforeMs < startMs + durationMs) {
      if (kind === 'filled' && offset + bytes.length > FILLED_BYTES) offset = 0;
      writeSync(file, bytes, 0, bytes.length, offset);
      fdatasyncSync(file);
      offset += bytes.length;
      const afterMs = performance.now();
      latenciesUs.push((afterMs - beforeMs) * 1000);
      beforeMs = afterMs;
    }
    const series = summarise(latenciesUs, (beforeMs - startMs) / 1000);
    return { ...series, perSecond: series.perSecond * records };
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
}
