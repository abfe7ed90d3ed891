import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { VerdictError } from '../../src/errors.ts';
import { hasEndpoint, isExported, readOtlpSettings } from '../../src/telemetry/otlp-settings.ts';
import { hear } from './heard.ts';

const directory = mkdtempSync(join(tmpdir(), 'otlp-settings-'));
after(() => rmSync(directory, { recursive: true }));
const PEM = join(directory, 'good.pem');
const NOT_PEM = join(directory, 'bad.pem');
writeFileSync(PEM, '-----BEGIN CERTIFICATE-----\n');
writeFileSync(NOT_PEM, 'hello');

const read = (env: Record<string, string>) => readOtlpSettings(env, 'LOGS', hear().diagnostics);

describe('where an exporter sends to', () => {
  for (const [env, url, protocol] of [
    [{}, 'http://localhost:4318/v1/logs', 'http/json'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1' }, 'http://a:1/v1/logs', 'http/json'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1/base/' }, 'http://a:1/base/v1/logs', 'http/json'],
    [
      { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'https://a/own', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://b' },
      'https://a/own',
      'http/json',
    ],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }, 'http://localhost:4318/v1/logs', 'http/protobuf'],
    [
      { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/json' },
      'http://localhost:4318/v1/logs',
      'http/json',
    ],
  ] as const) {
    test(`${JSON.stringify(env)} sends ${protocol} to ${url}`, () => {
      const settings = read(env);
      assert.deepEqual([settings.url, settings.protocol], [url, protocol]);
    });
  }

  test('credentials in the URL are used and never shown', () => {
    const settings = read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:SECRET@a:1/x?token=SECRET' });
    assert.ok(settings.url.includes('SECRET'));
    assert.ok(!settings.endpoint.includes('SECRET'));
  });
});

describe('what is refused before anything starts', () => {
  const KEY = 'OTEL_EXPORTER_OTLP_CLIENT_KEY';
  const CERTIFICATE = 'OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE';
  for (const [env, expected] of [
    [
      { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      /OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported.*http\/json or http\/protobuf.*4318/,
    ],
    [
      { OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'kafka' },
      /OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=kafka is not a protocol: set it to http\/json or http\/protobuf/,
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318' },
      /OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL/,
    ],
    [
      { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'not a url' },
      /OTEL_EXPORTER_OTLP_LOGS_ENDPOINT must be an http or https URL/,
    ],
    [
      { OTEL_EXPORTER_OTLP_CERTIFICATE: join(directory, 'none') },
      /OTEL_EXPORTER_OTLP_CERTIFICATE names .*none, which cannot be read/,
    ],
    [
      { OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE: NOT_PEM },
      /OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE names .*bad.pem, which is not a PEM file/,
    ],
    [{ [CERTIFICATE]: PEM }, /OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is set alone/],
    [{ [KEY]: PEM }, /OTEL_EXPORTER_OTLP_CLIENT_KEY is set alone/],
    [
      { [KEY]: PEM, [CERTIFICATE]: directory },
      /OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE names .*cannot be read/,
    ],
  ] as const) {
    test(`${Object.keys(env).join(', ')}: ${expected.source.slice(0, 60)}`, () => {
      assert.throws(
        () => read(env),
        (error) => {
          assert.ok(error instanceof VerdictError);
          assert.equal(error.code, 'config_invalid');
          assert.match(error.message, expected);
          return true;
        },
      );
    });
  }

  test('a whole set of certificates is taken', () => {
    assert.ok(read({ OTEL_EXPORTER_OTLP_CERTIFICATE: PEM, [KEY]: PEM, [CERTIFICATE]: PEM }));
  });
});

test('a malformed header is told by its place, never by its text', () => {
  const heard = hear();
  const env = {
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a,SECRET1,b=%zzSECRET2',
    OTEL_EXPORTER_OTLP_LOGS_HEADERS: 'x-a=1, x-b=2',
  };
  readOtlpSettings(env, 'LOGS', heard.diagnostics);
  assert.equal(heard.lines.length, 2);
  assert.match(heard.text(), /OTEL_EXPORTER_OTLP_HEADERS: entry 2 .*\n.*entry 3 /);
  assert.ok(!heard.text().includes('SECRET'));
});

describe('whether spans and metrics are exported', () => {
  const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a' };
  for (const [env, exported, warned] of [
    [{}, false, false],
    [ENDPOINT, true, false],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://a' }, true, false],
    [{ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://a' }, false, false],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, false, false],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'otlp' }, true, false],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'console, otlp' }, true, true],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' }, false, true],
    [{ ...ENDPOINT, OTEL_METRICS_EXPORTER: 'none' }, true, false],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'true' }, false, false],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'false' }, true, false],
  ] as const) {
    test(`${JSON.stringify(env)}: ${exported}`, () => {
      const heard = hear();
      assert.equal(isExported(env, 'TRACES', heard.diagnostics), exported);
      assert.equal(heard.lines.length > 0, warned);
    });
  }

  test('a blank endpoint is none', () => {
    assert.equal(hasEndpoint({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, 'LOGS'), false);
  });
});
