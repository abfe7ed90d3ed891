import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BATCH_RANGES, readBatchSettings } from '../../src/telemetry/batch-settings.ts';
import { readFlag, readNumber, readText } from '../../src/telemetry/environment.ts';
import { hear } from './heard.ts';

const RANGE = { default: 5, min: 1, max: 9 };

describe('numbers from the environment', () => {
  for (const [text, value, warned] of [
    [undefined, 5, false],
    ['', 5, false],
    ['  ', 5, false],
    ['1', 1, false],
    [' 9 ', 9, false],
    ['0', 5, true],
    ['10', 5, true],
    ['-1', 5, true],
    ['1.5', 5, true],
    ['1e400', 5, true],
    ['many', 5, true],
  ] as const) {
    test(`${JSON.stringify(text)} is read as ${value}${warned ? ', with a warning that names the variable' : ''}`, () => {
      const heard = hear();
      assert.equal(readNumber(text === undefined ? {} : { X: text }, 'X', RANGE, heard.diagnostics), value);
      assert.deepEqual(heard.lines.length, warned ? 1 : 0);
      if (warned) assert.match(heard.text(), /X must be a whole number from 1 to 9: 5 is used/);
    });
  }
});

test('a flag is on only for true, a text only when it is not blank', () => {
  assert.deepEqual(
    ['true', 'TRUE', '1', 'yes', '', undefined].map((X) => readFlag({ X }, 'X')),
    [true, true, false, false, false, false],
  );
  assert.equal(readText({ X: ' a ' }, 'X'), 'a');
  assert.equal(readText({ X: ' ' }, 'X'), undefined);
});

describe('batch settings', () => {
  test('without variables the defaults of the specification hold', () => {
    const heard = hear();
    assert.deepEqual(readBatchSettings({}, 'BLRP', heard.diagnostics), {
      maxQueueSize: 2048,
      maxExportBatchSize: 512,
      scheduledDelayMillis: 1000,
      exportTimeoutMillis: 30_000,
    });
    assert.equal(readBatchSettings({}, 'BSP', heard.diagnostics).scheduledDelayMillis, 5000);
    assert.deepEqual(heard.lines, []);
  });

  test('each variable overrides its own setting, up to its maximum', () => {
    const heard = hear();
    const env = {
      OTEL_BLRP_MAX_QUEUE_SIZE: String(BATCH_RANGES.QUEUE_RECORDS.max),
      OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: String(BATCH_RANGES.BATCH_RECORDS.max),
      OTEL_BLRP_SCHEDULE_DELAY: '0',
      OTEL_BLRP_EXPORT_TIMEOUT: '1',
      OTEL_BSP_MAX_QUEUE_SIZE: '7',
    };
    assert.deepEqual(readBatchSettings(env, 'BLRP', heard.diagnostics), {
      maxQueueSize: 1_000_000,
      maxExportBatchSize: 100_000,
      scheduledDelayMillis: 0,
      exportTimeoutMillis: 1,
    });
    assert.deepEqual(heard.lines, []);
    const over = { OTEL_BLRP_MAX_QUEUE_SIZE: '1000001', OTEL_BLRP_SCHEDULE_DELAY: '3600001' };
    const settings = readBatchSettings(over, 'BLRP', heard.diagnostics);
    assert.deepEqual([settings.maxQueueSize, settings.scheduledDelayMillis], [2048, 1000]);
    assert.match(heard.text(), /MAX_QUEUE_SIZE.*\n.*SCHEDULE_DELAY/);
  });

  test('a batch is never larger than the queue', () => {
    const env = { OTEL_BSP_MAX_QUEUE_SIZE: '7' };
    assert.equal(readBatchSettings(env, 'BSP', hear().diagnostics).maxExportBatchSize, 7);
  });
});
