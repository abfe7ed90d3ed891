/**
 * Posts records to any HTTP server: a batch as a JSON array or as lines, or each record by itself. A 2xx that has come
 * whole acknowledges them; what else comes back means the same as from an OTLP receiver.
 */
import { createHash } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { VerdictError } from '../../errors.ts';
import type { Format, FormattedRecord } from '../../format/record.ts';
import { HTTP_ADVICE } from '../../telemetry/export-error.ts';
import { DeliveryError, judgeHttp } from '../acknowledgement.ts';
import { createDirectExporter } from '../direct-exporter.ts';
import type { Exporter } from '../direct-exporter.ts';
import { formatOf } from '../encoding.ts';
import { sendOnce } from '../honest-transport.ts';
import type { HonestTransportOptions } from '../honest-transport.ts';
import { readPem } from '../pem.ts';
import { systemTimers } from '../timers.ts';
import type { Timers } from '../timers.ts';
import { signatureHeaders, signingKeyIn } from './webhook-signature.ts';

export const BATCHES = ['array', 'lines', 'single'] as const;

/** What one request holds: a JSON array of the batch, a line for each record, or one record. */
export type Batch = (typeof BATCHES)[number];

export interface HttpSettings {
  /** Used as it stands; http or https, without credentials in it. */
  readonly url: string;
  /** One of FORMAT_NAMES. */
  readonly format: string;
  readonly batch: Batch;
  /** Names in lower case. A `content-type` takes the place of the format's own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none';
  /** For one request. */
  readonly timeoutMs: number;
  /** Paths of PEM files. */
  readonly certificate?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
  /** webhook-signature.ts says how. */
  readonly signingSecret?: string | undefined;
}

export interface HttpExporterOptions {
  readonly settings: HttpSettings;
  /** Ours, for the User-Agent. */
  readonly version: string;
  readonly timers?: Timers | undefined;
}

/** Of an answer, which is read for its status and a word of what is wrong. */
export const HTTP_ANSWER_BYTES_MAX = 1024 * 1024;

/** A batch sent record by record may take so many times as long as one request. */
const SINGLES_TIMEOUTS = 8;

/** One request. */
interface Post {
  readonly body: string;
  /** Whoever gets the same one again has had the same records before. */
  readonly id: string;
}

/** @throws VerdictError config_invalid when a setting or a file is wrong */
export function createHttpExporter({
  settings,
  version,
  timers = systemTimers,
}: HttpExporterOptions): Exporter {
  const { batch, timeoutMs } = settings;
  const format = formatOf(settings.format);
  const poster = createPoster(settings, { format, version, timers });
  const common = { endpoint: poster.endpoint, shutdown: async () => poster.close() };
  if (batch !== 'single') {
    return createDirectExporter({
      ...common,
      timeoutMs,
      encode: (records) => batchOf(format, batch, records),
      send: (post) => poster.post(post),
    });
  }
  const limitMs = timeoutMs * SINGLES_TIMEOUTS;
  return createDirectExporter({
    ...common,
    timeoutMs: limitMs,
    encode: (records) => records.map((record) => ({ body: format.encode(record), id: uidOf(record) })),
    send: createSingles(poster, limitMs, timers),
  });
}

function batchOf(format: Format, batch: 'array' | 'lines', records: readonly FormattedRecord[]): Post {
  const texts = records.map((record) => format.encode(record));
  const body = batch === 'array' ? `[${texts.join(',')}]` : texts.map((text) => `${text}\n`).join('');
  return { body, id: createHash('sha256').update(body).digest('hex') };
}

function uidOf({ content }: FormattedRecord): string {
  return String(content.attributes['log.record.uid']);
}

interface Poster {
  readonly endpoint: string;
  /** Rejects with a DeliveryError when it is not acknowledged. */
  post(post: Post): Promise<void>;
  close(): void;
}

interface PosterOptions {
  readonly format: Format;
  readonly version: string;
  readonly timers: Timers;
}

function createPoster(settings: HttpSettings, { format, version, timers }: PosterOptions): Poster {
  const { url, batch, compression, timeoutMs, signingSecret } = settings;
  const { origin, pathname, protocol } = new URL(url);
  const endpoint = `${origin}${pathname}`;
  const key = signingSecret === undefined ? undefined : signingKeyIn(signingSecret);
  if (signingSecret !== undefined && key === undefined) throw invalid('the signing secret holds no key');
  const tls = {
    ca: readPem(settings.certificate),
    cert: readPem(settings.clientCertificate),
    key: readPem(settings.clientKey),
  };
  const agent =
    protocol === 'https:'
      ? new HttpsAgent({ keepAlive: true, maxSockets: 1, ...tls })
      : new HttpAgent({ keepAlive: true, maxSockets: 1 });
  const fixed = { 'content-type': contentTypeOf(format, batch), ...settings.headers };
  const transport: Omit<HonestTransportOptions, 'headers'> = {
    url,
    agent,
    compression,
    userAgent: `mcp-verdict/${version}`,
    timers,
    answerBytesMax: HTTP_ANSWER_BYTES_MAX,
  };
  return {
    endpoint,
    async post({ body, id }) {
      const signed = key === undefined ? {} : signatureHeaders(key, { id, nowMs: timers.nowMs(), body });
      const headers = { ...fixed, 'idempotency-key': id, ...signed };
      const attempt = await sendOnce(Buffer.from(body), timeoutMs, {
        ...transport,
        headers: async () => headers,
      });
      const judgement = judgeHttp(attempt, { endpoint, nowMs: timers.nowMs(), advice: HTTP_ADVICE });
      if (judgement.kind !== 'acknowledged') throw new DeliveryError(judgement);
    },
    close: () => agent.destroy(),
  };
}

function contentTypeOf({ contentType }: Format, batch: Batch): string {
  if (batch === 'lines' && contentType === 'application/json') return 'application/x-ndjson';
  return contentType;
}

/**
 * One record after the other. What was acknowledged before one failed is not sent again with the next attempt, which
 * is of the same records or of a part of them.
 */
function createSingles(
  poster: Poster,
  limitMs: number,
  timers: Timers,
): (posts: readonly Post[]) => Promise<void> {
  // By body: another program's records may have an id twice.
  const acknowledged = new Set<string>();
  return async (posts) => {
    const endMs = timers.nowMs() + limitMs;
    for (const post of posts) {
      if (acknowledged.has(post.body)) continue;
      if (timers.nowMs() > endMs) throw tooSlow(poster.endpoint, limitMs);
      await poster.post(post);
      acknowledged.add(post.body);
    }
    for (const { body } of posts) acknowledged.delete(body);
  };
}

function tooSlow(endpoint: string, limitMs: number): DeliveryError {
  const text = `${endpoint} has not taken a batch within ${limitMs / 1000} s, record by record: batch: lines is faster`;
  return new DeliveryError({ kind: 'retry', text, alarm: false });
}

function invalid(detail: string): VerdictError {
  return new VerdictError('config_invalid', { detail });
}
