import assert from 'node:assert/strict';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { ExportResultCode } from '@opentelemetry/core';
import type { ExportResult } from '@opentelemetry/core';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { VerdictError } from '../../src/errors.ts';
import { DeliveryError } from '../../src/export/acknowledgement.ts';
import { createHonestOtlpExporter } from '../../src/export/honest-otlp.ts';
import type { HonestOtlpExporter, OtlpEndpoint } from '../../src/export/honest-otlp.ts';
import { originOf, SpooledLogRecord } from '../../src/export/spooled-log-record.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { hear, setOtelEnv } from '../telemetry/heard.ts';
import { chainOf, IDENTITY } from './memory-stream.ts';

function recordsOf(count: number): ReadableLogRecord[] {
  const origin = originOf(IDENTITY);
  return chainOf(count).map((body) => new SpooledLogRecord(body, origin));
}

function send(exporter: HonestOtlpExporter, count = 1): Promise<ExportResult> {
  return new Promise((resolve) => exporter.export(recordsOf(count), resolve));
}

async function receive(t: TestContext) {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  return receiver;
}

function make(t: TestContext, env: Record<string, string>, endpoint?: OtlpEndpoint): HonestOtlpExporter {
  const exporter = createHonestOtlpExporter({
    endpoint,
    env: setOtelEnv(t, env),
    diagnostics: hear().diagnostics,
    version: '1.2.3',
  });
  t.after(() => exporter.shutdown());
  return exporter;
}

describe('the variables', () => {
  test('endpoint, headers and JSON are as with the SDK’s own exporter', async (t) => {
    const receiver = await receive(t);
    const exporter = make(t, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20TOKEN,x-both=general',
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: 'x-both=logs',
    });
    assert.equal((await send(exporter, 2)).code, ExportResultCode.SUCCESS);
    assert.deepEqual(exporter.lastJudgement(), { kind: 'acknowledged' });
    const { path, headers, body } = receiver.requests[0]!;
    assert.equal(path, '/v1/logs');
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['authorization'], 'Bearer TOKEN');
    assert.equal(headers['x-both'], 'logs');
    assert.match(headers['user-agent'] ?? '', /^mcp-verdict\/1\.2\.3 /);
    assert.equal(headers['content-length'], String(body.length));
    assert.equal(receiver.logs().length, 2);
  });

  test('the logs endpoint is used as it stands, and its name has no credentials', async (t) => {
    const receiver = await receive(t);
    const url = receiver.url.replace('//', '//ana:secret@');
    const exporter = make(t, { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${url}/own/path?key=1` });
    await send(exporter);
    assert.equal(receiver.requests[0]?.path, '/own/path?key=1');
    assert.equal(receiver.requests[0].headers.authorization, `Basic ${btoa('ana:secret')}`);
    assert.equal(exporter.endpoint, `${receiver.url}/own/path`);
  });

  test('gzip, protobuf and the timeout are honoured', async (t) => {
    const receiver = await receive(t);
    receiver.answerWith(() => ({ body: '', headers: { 'content-type': 'application/x-protobuf' } }));
    const exporter = make(t, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
      OTEL_EXPORTER_OTLP_TIMEOUT: '1234',
    });
    assert.equal(exporter.timeoutMs, 1234);
    assert.equal((await send(exporter)).code, ExportResultCode.SUCCESS);
    const { headers, body } = receiver.requests[0]!;
    assert.equal(headers['content-encoding'], 'gzip');
    assert.equal(headers['content-type'], 'application/x-protobuf');
    assert.ok(body.includes('verdict.stream.sequence'));
  });

  test('a wrong one is refused before anything is sent', (t) => {
    for (const env of [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
      { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      { OTEL_EXPORTER_OTLP_CERTIFICATE: '/nowhere.pem' },
    ]) {
      assert.throws(() => make(t, env), isConfigFault);
    }
  });
});

describe('an endpoint of its own', () => {
  test('gets its own headers and none of those that the variables hold for another server', async (t) => {
    const receiver = await receive(t);
    const exporter = make(
      t,
      { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20TOKEN', OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' },
      { url: `${receiver.url}/logs`, headers: { 'x-own': '1' } },
    );
    assert.equal((await send(exporter)).code, ExportResultCode.SUCCESS);
    const { path, headers } = receiver.requests[0]!;
    assert.equal(path, '/logs');
    assert.equal(headers['x-own'], '1');
    assert.equal(headers['authorization'], undefined);
    assert.equal(headers['content-encoding'], undefined);
  });

  test('that is no URL, or names a file that is no certificate, is refused', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'verdict-honest-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const text = join(directory, 'text.pem');
    writeFileSync(text, 'hello');
    const url = 'https://collector.example/v1/logs';
    for (const endpoint of [
      { url: 'collector' },
      { url: 'ftp://collector' },
      { url, certificate: '/nowhere.pem' },
      { url, certificate: text },
      { url, clientCertificate: text, clientKey: text },
    ]) {
      assert.throws(() => make(t, {}, endpoint), isConfigFault);
    }
  });
});

describe('one batch', () => {
  test('is one request: nothing is repeated behind the pump’s back, and no redirect is followed', async (t) => {
    const receiver = await receive(t);
    for (const script of [{ status: 503 }, { status: 302, headers: { location: `${receiver.url}/there` } }]) {
      receiver.answerWith(() => script);
      const before = receiver.requests.length;
      const { code, error } = await send(make(t, {}, { url: receiver.url }));
      assert.equal(code, ExportResultCode.FAILED);
      assert.ok(error instanceof DeliveryError && error.failure.kind === 'retry');
      assert.equal(receiver.requests.length, before + 1);
    }
  });

  test('goes over a connection that is kept; one that the server has given up is no attempt', async (t) => {
    const receiver = await receive(t);
    const exporter = make(t, {}, { url: receiver.url });
    await send(exporter);
    receiver.answerWith((_, index) => (index === 1 ? { broken: 'reset' } : {}));
    assert.equal((await send(exporter)).code, ExportResultCode.SUCCESS);
    assert.equal(receiver.requests.length, 3);
  });

  test('whose answer holds a warning and no rejection is delivered, and the warning said', async (t) => {
    const receiver = await receive(t);
    receiver.answerWith(() => ({ body: '{"partialSuccess":{"errorMessage":"clock skew"}}' }));
    const heard = hear();
    const exporter = createHonestOtlpExporter({
      endpoint: { url: receiver.url },
      env: {},
      diagnostics: heard.diagnostics,
      version: '1',
    });
    t.after(() => exporter.shutdown());
    assert.equal((await send(exporter)).code, ExportResultCode.SUCCESS);
    assert.match(heard.text(), /warn .*clock skew/);
  });
});

function isConfigFault(error: unknown): boolean {
  return error instanceof VerdictError && error.code === 'config_invalid';
}
