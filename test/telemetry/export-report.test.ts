import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { reportExports } from '../../src/telemetry/export-report.ts';
import { readOtlpSettings } from '../../src/telemetry/otlp-settings.ts';
import { routeSdkDiagnostics } from '../../src/telemetry/sdk-diagnostics.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { hear, setOtelEnv } from './heard.ts';

function exporterTo(t: TestContext, url: string, timeoutMs: number) {
  const heard = hear();
  const env = setOtelEnv(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_EXPORTER_OTLP_TIMEOUT: String(timeoutMs),
  });
  const exporter = new OTLPLogExporter();
  reportExports(
    exporter,
    readOtlpSettings(env, 'LOGS', heard.diagnostics),
    routeSdkDiagnostics(heard.diagnostics),
  );
  t.after(() => exporter.shutdown());
  const send = () => new Promise<ExportResult>((resolve) => exporter.export([], resolve));
  return { heard, send };
}

describe('what a user hears', () => {
  for (const [status, expected] of [
    [404, /error 0 verdict records lost: .* is not an OTLP path/],
    [401, /error 0 verdict records lost: .*OTEL_EXPORTER_OTLP_HEADERS/],
    [500, /error 0 verdict records lost: .*HTTP 500/],
  ] as const) {
    test(`an answer of ${status} is a loss, explained`, async (t) => {
      const receiver = await startOtlpReceiver();
      t.after(receiver.close);
      receiver.answerWith(() => ({ status }));
      const { heard, send } = exporterTo(t, receiver.url, 1000);
      assert.equal((await send()).code, ExportResultCode.FAILED);
      assert.match(heard.text(), expected);
    });
  }

  test('a collector that is down is named at the first attempt, not when the SDK gives up', async (t) => {
    const receiver = await startOtlpReceiver();
    await receiver.close();
    const { heard, send } = exporterTo(t, receiver.url, 50);
    await send();
    assert.match(heard.lines[0] ?? '', /^warn verdict records wait: nothing listens at .*; trying again$/);
    assert.match(heard.text(), /error 0 verdict records lost: nothing listens/);
  });

  test('an overloaded collector is named by its status', async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(receiver.close);
    receiver.answerWith(() => ({ status: 429 }));
    const { heard, send } = exporterTo(t, receiver.url, 50);
    await send();
    assert.match(
      heard.lines[0] ?? '',
      /^warn verdict records wait: .*overloaded or not ready \(HTTP 429\).*; trying again$/,
    );
  });

  test('a slow collector is named', async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(receiver.close);
    receiver.answerWith(() => ({ hang: true }));
    const { heard, send } = exporterTo(t, receiver.url, 20);
    await send();
    assert.match(heard.text(), /lost: .*does not answer in time/);
  });

  test('requests of others to the same host are none of our business', async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(receiver.close);
    receiver.answerWith(({ path }) => ({ status: path === '/v1/logs' ? 200 : 503 }));
    const { heard, send } = exporterTo(t, receiver.url, 1000);
    const { request } = await import('node:http');
    await new Promise<void>((resolve) => {
      request(`${receiver.url}/other`, (response) => response.resume().on('end', resolve)).end();
    });
    assert.equal((await send()).code, ExportResultCode.SUCCESS);
    assert.deepEqual(heard.lines, []);
  });
});
