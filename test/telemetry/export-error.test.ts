import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OTLPExporterError } from '@opentelemetry/otlp-exporter-base';
import { explainExportError } from '../../src/telemetry/export-error.ts';

const HTTP = 'http://collector:4318/v1/logs';
const GRPC = 'http://collector:4317/v1/logs';
const TLS = 'https://collector:4318/v1/logs';

const system = (code: string, message = code) => Object.assign(new Error(message), { code });
const status = (code: number, data = '') => new OTLPExporterError('', code, data);

const TABLE: readonly (readonly [string, unknown, string, RegExp])[] = [
  [
    'a collector that is not there',
    system('ECONNREFUSED'),
    HTTP,
    /^nothing listens at http:\/\/collector:4318\/v1\/logs: is the collector running\? .*port 4318$/,
  ],
  [
    'a name with several addresses, none of which listens',
    new AggregateError([system('ECONNREFUSED')], ''),
    HTTP,
    /nothing listens/,
  ],
  ['nothing on the gRPC port either', system('ECONNREFUSED'), GRPC, /nothing listens/],
  [
    'a wrong path',
    status(404),
    HTTP,
    /is not an OTLP path \(HTTP 404\): OTEL_EXPORTER_OTLP_ENDPOINT gets \/v1\/logs .*appended, OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is used as it stands/,
  ],
  ['a path that takes no POST', status(405), HTTP, /is not an OTLP path \(HTTP 405\)/],
  [
    'the gRPC port, by the parser’s error',
    system('HPE_INVALID_CONSTANT'),
    HTTP,
    /port 4317 is the gRPC port, use 4318/,
  ],
  [
    'the gRPC port, by its number',
    system('ECONNRESET', 'socket hang up'),
    GRPC,
    /port 4317 is the gRPC port, use 4318/,
  ],
  [
    'missing credentials',
    status(401),
    HTTP,
    /refuses the credentials \(HTTP 401\): set OTEL_EXPORTER_OTLP_HEADERS/,
  ],
  ['wrong credentials', status(403), HTTP, /HTTP 403\): set OTEL_EXPORTER_OTLP_HEADERS/],
  [
    'an authority that is not known',
    system('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    TLS,
    /cannot be trusted .*OTEL_EXPORTER_OTLP_CERTIFICATE/,
  ],
  ['a self-signed certificate', system('DEPTH_ZERO_SELF_SIGNED_CERT'), TLS, /OTEL_EXPORTER_OTLP_CERTIFICATE/],
  [
    'a certificate for another host',
    system('ERR_TLS_CERT_ALTNAME_INVALID'),
    TLS,
    /OTEL_EXPORTER_OTLP_CERTIFICATE/,
  ],
  [
    'a missing client certificate',
    system('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
    TLS,
    /OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE/,
  ],
  ['TLS towards a plain port', system('ERR_SSL_WRONG_VERSION_NUMBER'), TLS, /must begin with http:\/\//],
  [
    'TLS towards a plain port, found out while writing',
    system(
      'EPROTO',
      `write EPROTO 40BD:error:0A00010B:SSL routines:tls_header:wrong version number:a.c:77:\n`,
    ),
    TLS,
    /must begin with http:\/\//,
  ],
  [
    'a missing client certificate, found out while writing',
    system(
      'EPROTO',
      `write EPROTO 40BD:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:a.c:1:\n`,
    ),
    TLS,
    /OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE/,
  ],
  [
    'a server that closes before its alert is read',
    system('EPIPE', 'write EPIPE'),
    TLS,
    /closes the connection .*OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE/,
  ],
  [
    'plain text towards a TLS port',
    status(400, 'Client sent an HTTP request to an HTTPS server.'),
    HTTP,
    /must begin with https:\/\//,
  ],
  [
    'a slow collector',
    new Error('Request timed out'),
    HTTP,
    /does not answer in time.*OTEL_EXPORTER_OTLP_TIMEOUT/,
  ],
  ['the processor’s own timeout', new Error('Timeout'), HTTP, /does not answer in time/],
  ['a connection that takes too long', system('ETIMEDOUT'), HTTP, /does not answer in time/],
  [
    'a closed connection',
    system('ECONNRESET', 'socket hang up'),
    HTTP,
    /closes the connection without an answer/,
  ],
  ['a host name that is not known', system('ENOTFOUND'), HTTP, /cannot be resolved/],
  ['a network that is not there', system('ENETUNREACH'), HTTP, /no route/],
  ['an overloaded collector', status(429), HTTP, /overloaded or not ready \(HTTP 429\)/],
  [
    'an overloaded collector, after the last retry',
    new OTLPExporterError('Export failed with retryable status'),
    HTTP,
    /overloaded or not ready \(HTTP 429, 502, 503 or 504\)/,
  ],
  ['a batch that is too large', status(413), HTTP, /OTEL_BLRP_MAX_EXPORT_BATCH_SIZE/],
  ['an encoding that is not taken', status(415), HTTP, /OTEL_EXPORTER_OTLP_PROTOCOL/],
  ['a redirect', status(302), HTTP, /redirect \(HTTP 302\)/],
  [
    'data that is refused',
    status(400, '{"code":3,"message":"bad\\n value"}'),
    HTTP,
    /refuses the data \(HTTP 400\): bad value$/,
  ],
  ['a fault of the collector', status(500), HTTP, /refuses the data \(HTTP 500\)$/],
  ['anything else', new Error('odd'), HTTP, /^cannot export to http:\/\/collector:4318\/v1\/logs: odd$/],
  ['a text', 'odd', HTTP, /cannot export .*: odd$/],
  ['nothing at all', undefined, HTTP, /^cannot export to http:\/\/collector:4318\/v1\/logs$/],
];

describe('what is said of a failed export', () => {
  for (const [fault, error, endpoint, expected] of TABLE) {
    test(`${fault} is named, with what to do`, () => {
      assert.match(explainExportError(error, endpoint), expected);
    });
  }

  test('a long answer is cut', () => {
    assert.ok(explainExportError(status(400, 'x'.repeat(1e6)), HTTP).length < 300);
  });

  test('the answer to refused credentials is never shown: it may hold them', () => {
    assert.ok(!explainExportError(status(401, 'Bearer SECRET is wrong'), HTTP).includes('SECRET'));
  });
});
