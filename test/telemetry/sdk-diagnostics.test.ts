import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diag } from '@opentelemetry/api';
import { globalErrorHandler } from '@opentelemetry/core';
import { routeSdkDiagnostics } from '../../src/telemetry/sdk-diagnostics.ts';
import { hear } from './heard.ts';

describe('the voice of the SDK', () => {
  test('warnings and errors reach our diagnostics, its progress only as debug', () => {
    const heard = hear();
    routeSdkDiagnostics(heard.diagnostics);
    diag.error('one');
    diag.warn('two', new Error('why'), { record: 'SECRET' });
    diag.info('three');
    diag.debug('four');
    diag.verbose('five');
    assert.deepEqual(heard.lines, [
      'error OpenTelemetry SDK: one',
      'warn OpenTelemetry SDK: two why',
      'debug OpenTelemetry SDK: three',
    ]);
  });

  test('messages that differ in numbers only are said once', () => {
    const heard = hear();
    const sdk = routeSdkDiagnostics(heard.diagnostics);
    diag.warn('Dropped 5 spans');
    diag.warn('Dropped 17 spans');
    sdk.throttle.flush();
    assert.deepEqual(heard.lines, [
      'warn OpenTelemetry SDK: Dropped 5 spans',
      'warn OpenTelemetry SDK: Dropped 17 spans … repeated 1 time',
    ]);
  });

  test('routing to the same diagnostics again keeps what was counted', () => {
    const heard = hear();
    assert.equal(routeSdkDiagnostics(heard.diagnostics), routeSdkDiagnostics(heard.diagnostics));
  });

  test('an error of the SDK is said unless it has been explained', () => {
    const heard = hear();
    const sdk = routeSdkDiagnostics(heard.diagnostics);
    const explained = new Error('explained');
    sdk.silence(explained);
    sdk.silence(undefined);
    globalErrorHandler(explained);
    globalErrorHandler(new Error('PeriodicExportingMetricReader: metrics export failed (error x)'));
    assert.deepEqual(heard.lines, []);
    globalErrorHandler(new Error('new'));
    globalErrorHandler('text');
    globalErrorHandler(new Error('Timeout'));
    assert.match(
      heard.text(),
      /^error OpenTelemetry SDK: new\nerror .* text\nerror .*OTEL_BLRP_EXPORT_TIMEOUT/,
    );
  });
});

describe('an answer that is a success to the SDK only', () => {
  for (const [parts, rejected] of [
    [['Received Partial Success response:', '{"rejectedLogRecords":"3","errorMessage":"too old"}'], 3],
    [['Received Partial Success response:', '{"rejectedLogRecords":3}'], 3],
    [['Received Partial Success response:', '{"rejectedSpans":3}'], 0],
    [['Received Partial Success response:', '{"errorMessage":"mind the gap"}'], 0],
    [['Received Partial Success response:', '{"rejectedLogRecords":-3}'], 0],
    [['Received Partial Success response:', 'not JSON'], 0],
    [['Received Partial Success response:'], 0],
    [['Failed to parse logs export response: Unexpected token. Returning empty response'], Infinity],
    [
      ['OTLPExportDelegate', 'Export succeeded but could not deserialize response - is it?', new Error('x')],
      Infinity,
    ],
    [['something else'], 0],
  ] as const) {
    test(`${parts.join(' ').slice(0, 90)}: ${rejected} lost`, () => {
      const heard = hear();
      const sdk = routeSdkDiagnostics(heard.diagnostics);
      const [message, ...rest] = parts;
      diag.warn(message, ...rest);
      assert.equal(sdk.takeRejected(), rejected);
      assert.equal(sdk.takeRejected(), 0);
      assert.equal(heard.lines.length, 1);
    });
  }

  test('what one turn does not take is gone in the next, so it cannot count against another batch', async () => {
    const sdk = routeSdkDiagnostics(hear().diagnostics);
    diag.warn('Received Partial Success response:', '{"rejectedLogRecords":3}');
    await Promise.resolve();
    assert.equal(sdk.takeRejected(), 0);
  });
});
