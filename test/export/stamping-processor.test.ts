import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SeverityNumber } from '@opentelemetry/api';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs';
import { createStampingProcessor, SEEN_UIDS_MAX } from '../../src/export/stamping-processor.ts';
import type { StampingProcessorOptions } from '../../src/export/stamping-processor.ts';

const SERVICE = { name: 's', instanceId: 'i', version: '1' };

function stampingWith(options: Partial<StampingProcessorOptions> = {}) {
  const processor = createStampingProcessor({ service: SERVICE, streamId: 'stream', ...options });
  const logger = new LoggerProvider({ processors: [processor] }).getLogger('test');
  const emit = (uid: string, eventName = 'verdict.lifecycle'): void =>
    logger.emit({ eventName, severityNumber: SeverityNumber.INFO, attributes: { 'log.record.uid': uid } });
  return { processor, emit };
}

describe('uids that somebody may wait for', () => {
  test('are told once', () => {
    const { processor, emit } = stampingWith();
    emit('a');
    assert.equal(processor.takeSeen('a'), true);
    assert.equal(processor.takeSeen('a'), false);
    assert.equal(processor.takeSeen('b'), false);
  });

  for (const [seenMax, expected] of [
    [undefined, SEEN_UIDS_MAX],
    [3, 3],
  ] as const) {
    test(`are kept up to ${expected}, then the oldest goes`, () => {
      const { processor, emit } = stampingWith({ seenMax });
      for (let i = 0; i < expected; i++) emit(`${i}`);
      assert.equal(processor.takeSeen('0'), true);
      emit('x');
      emit('y');
      assert.equal(processor.takeSeen('1'), false);
      assert.equal(processor.takeSeen('2'), true);
      assert.equal(processor.takeSeen('y'), true);
    });
  }
});

test('a record that the next processor loses leaves a hole in the chain', () => {
  const passed: ReadWriteLogRecord[] = [];
  let broken = false;
  const next: LogRecordProcessor = {
    onEmit(record) {
      if (broken) throw new Error('no room');
      passed.push(record);
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  const { processor, emit } = stampingWith({ next });
  emit('a');
  broken = true;
  assert.throws(() => emit('b'));
  assert.equal(processor.takeSeen('b'), false);
  broken = false;
  emit('c');
  assert.deepEqual(
    passed.map(({ attributes }) => attributes['verdict.stream.sequence']),
    [1, 3],
  );
});

test('what is no record of ours is not stamped, not sent and not seen', () => {
  const passed: unknown[] = [];
  const next: LogRecordProcessor = {
    onEmit: (record) => void passed.push(record),
    forceFlush: async () => {},
    shutdown: async () => {},
  };
  const { processor, emit } = stampingWith({ next });
  emit('a', 'some.other.event');
  assert.deepEqual(passed, []);
  assert.equal(processor.takeSeen('a'), false);
});
