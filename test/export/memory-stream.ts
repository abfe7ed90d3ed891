/** Streams in memory, as a pump reads them, with real bodies in a real chain. */
import { originOf } from '../../src/export/spooled-log-record.ts';
import type { SourceStream, StreamSource } from '../../src/export/stream-source.ts';
import { firstLink, stamp } from '../../src/event/stamp.ts';
import type { CursorPosition, Damage, SpooledRecord } from '../../src/spool/position.ts';
import { DECISION } from '../event/sample.ts';

export const STREAM = '019aaaaa-0000-4000-8000-0000000000aa';

export const IDENTITY = {
  resource: { 'service.name': 'mcp-verdict', 'service.instance.id': 'i-1', roles: ['a', 'b'] },
  scope: { name: 'mcp-verdict', version: '1', schemaUrl: 'https://example/1' },
};

/**
 * Bodies 1 to `count` of a stream.
 * @param more attributes of each record
 */
export function chainOf(
  count: number,
  stream = STREAM,
  more: Readonly<Record<string, string>> = {},
): string[] {
  let link = firstLink(stream);
  return Array.from({ length: count }, (_, index) => {
    const uid = `019aaaaa-0000-7000-8000-${String(index + 1).padStart(12, '0')}`;
    const stamped = stamp(link, {
      ...DECISION,
      attributes: { ...DECISION.attributes, ...more, 'log.record.uid': uid },
    });
    link = stamped.next;
    return stamped.body;
  });
}

export interface MemoryStream extends SourceStream {
  append(bodies: readonly string[]): void;
  /** No record follows: what is read to its end is over. */
  end(): void;
  /** Damage that the next read finds. */
  damage(damage: Damage): void;
  /** The position that would be there after a crash. */
  durable(): CursorPosition | undefined;
  /** What flush throws until it is set to undefined. */
  refuseFlush(error: Error | undefined): void;
}

export function createMemoryStream(bodies: readonly string[], stream = STREAM): MemoryStream {
  const records: SpooledRecord[] = [];
  let damages: Damage[] = [];
  let over = false;
  let next = 0;
  let position: CursorPosition | undefined;
  let durable: CursorPosition | undefined;
  let refusal: Error | undefined;

  const memory: MemoryStream = {
    stream,
    origin: originOf(IDENTITY),
    before: () => 0,
    last: () => records.length,
    reader: {
      stream,
      next(recordsMax, bytesMax) {
        const batch: SpooledRecord[] = [];
        let bytes = 0;
        for (const record of records.slice(next, next + recordsMax)) {
          bytes += record.body.length;
          if (batch.length > 0 && bytes > bytesMax) break;
          batch.push(record);
        }
        next += batch.length;
        const found = damages;
        damages = [];
        return { records: batch, damages: found };
      },
      ended: () => over && next === records.length,
      close: () => {},
    },
    cursor: {
      position: () => position,
      advance: (to) => void (position = to),
      flush() {
        if (refusal !== undefined) throw refusal;
        durable = position;
      },
    },
    append(more) {
      for (const body of more) {
        const sequence = records.length + 1;
        records.push({ body, stream, sequence, segment: 1, end: sequence * 10 });
      }
    },
    end: () => void (over = true),
    damage: (damage) => void damages.push(damage),
    durable: () => durable,
    refuseFlush: (error) => void (refusal = error),
  };
  memory.append(bodies);
  return memory;
}

export interface MemorySource extends StreamSource {
  readonly done: string[];
}

export function createMemorySource(...streams: readonly SourceStream[]): MemorySource {
  const left = [...streams];
  const done: string[] = [];
  return {
    done,
    streams: () => [...left],
    finished(stream) {
      left.splice(left.indexOf(stream), 1);
      done.push(stream.stream);
    },
  };
}
