/** An exporter of kind `http`, as verdict.yaml says it. */
import { resolve } from 'node:path';
import type { Batch, HttpSettings } from '../export/http/http-exporter.ts';
import { KEY_BYTES, signingKeyIn } from '../export/http/webhook-signature.ts';
import { formatNamed } from '../format/formats.ts';
import { isLoopbackHost } from '../proxy/http/guard.ts';
import type { HttpEntry } from './exporter-schema.ts';
import { headersOf } from './headers.ts';
import { timeoutOf } from './quantity.ts';
import type { Assembly } from './spool.ts';

const TIMEOUT_MS_DEFAULT = 10_000;
const FORMAT_DEFAULT = 'json';

/** Set by us for each request. */
const OWN_HEADERS = [
  'connection',
  'content-encoding',
  'content-length',
  'host',
  'idempotency-key',
  'transfer-encoding',
  'webhook-id',
  'webhook-signature',
  'webhook-timestamp',
];

export function httpOf(name: string, entry: HttpEntry, { base, fault }: Assembly): HttpSettings {
  const pointer = `/exporters/${name}`;
  const { format = FORMAT_DEFAULT, batch = batchFor(format), signing_secret: signingSecret } = entry;
  checkUrl(pointer, entry, fault);
  if (batch === 'array' && !isJson(format)) {
    fault(`${pointer}/batch`, `an array can hold no ${format}: use lines or single`);
  }
  if (signingSecret !== undefined && signingKeyIn(signingSecret) === undefined) {
    const wanted = `must be base64 of ${KEY_BYTES.min} to ${KEY_BYTES.max} bytes, with whsec_ before it or without`;
    fault(`${pointer}/signing_secret`, wanted);
  }
  if ((entry.client_certificate === undefined) !== (entry.client_key === undefined)) {
    fault(pointer, 'client_certificate and client_key go together');
  }
  const file = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(base, path);
  return {
    url: entry.url,
    format,
    batch,
    headers: allHeaders(pointer, entry, fault),
    compression: entry.compression ?? 'none',
    timeoutMs: timeoutOf(`${pointer}/timeout`, entry.timeout, fault) ?? TIMEOUT_MS_DEFAULT,
    certificate: file(entry.certificate),
    clientCertificate: file(entry.client_certificate),
    clientKey: file(entry.client_key),
    signingSecret,
  };
}

/** A JSON array of requests is no request. */
function batchFor(format: string): Batch {
  if (format === 'otlp-json') return 'single';
  return isJson(format) ? 'array' : 'lines';
}

function isJson(format: string): boolean {
  return formatNamed(format)?.contentType === 'application/json';
}

function checkUrl(pointer: string, { url: text, insecure }: HttpEntry, fault: Assembly['fault']): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    fault(`${pointer}/url`, 'must be an http or https URL; it is used as it stands');
  } else if (url.username !== '' || url.password !== '') {
    fault(
      `${pointer}/url`,
      'must not hold credentials; put them in bearer, basic or headers, from ${env:NAME}',
    );
  } else if (url.protocol === 'http:' && insecure !== true && !isLoopbackHost(bare(url.hostname))) {
    fault(
      `${pointer}/url`,
      `whoever is between here and ${url.hostname} can read and change what is sent; use https, or put "insecure: true" beside it`,
    );
  }
}

function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

function allHeaders(pointer: string, entry: HttpEntry, fault: Assembly['fault']): Record<string, string> {
  const headers = headersOf(`${pointer}/headers`, entry.headers ?? {}, fault);
  for (const name of OWN_HEADERS) {
    if (headers[name] !== undefined) fault(`${pointer}/headers`, `${name} is set by the exporter itself`);
  }
  const { bearer, basic } = entry;
  const given = [headers['authorization'], bearer, basic].filter((value) => value !== undefined);
  if (given.length > 1) fault(pointer, 'use one of bearer, basic and the header authorization');
  if (bearer !== undefined) headers['authorization'] = `Bearer ${bearer}`;
  if (basic !== undefined) {
    const pair = Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
    headers['authorization'] = `Basic ${pair}`;
  }
  if (/[\r\n\0]/.test(bearer ?? '')) fault(`${pointer}/bearer`, 'must not hold CR, LF or NUL');
  return headers;
}
