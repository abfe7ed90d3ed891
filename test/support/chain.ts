/** Proves the chains of records that a receiver holds, from their bodies alone. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

/** A log record, whoever has received it. */
export interface ChainedLog {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  readonly traceId?: string;
}

/** Asserts that each stream is complete from 1 and unbroken, and that attributes say what bodies say. @returns how many streams there are */
export function checkChains(logs: readonly ChainedLog[]): number {
  const streams = new Map<string, ChainedLog[]>();
  for (const log of logs) {
    const stream = String(log.attributes['verdict.stream.id']);
    streams.set(stream, [...(streams.get(stream) ?? []), log]);
  }
  for (const records of streams.values()) {
    records.sort((a, b) => sequence(a) - sequence(b));
    let previous = '0'.repeat(64);
    records.forEach((log, index) => {
      assert.equal(sequence(log), index + 1);
      assert.equal(log.attributes['verdict.stream.previous_hash'], previous);
      assert.equal(typeof log.body, 'string');
      const body = JSON.parse(String(log.body)) as Record<string, unknown>;
      for (const [key, value] of Object.entries(log.attributes)) assert.deepEqual(body[key], value, key);
      assert.equal(body['trace_id'] ?? '', log.traceId ?? '');
      previous = createHash('sha256').update(String(log.body)).digest('hex');
    });
  }
  return streams.size;
}

function sequence(log: ChainedLog): number {
  return Number(log.attributes['verdict.stream.sequence']);
}
