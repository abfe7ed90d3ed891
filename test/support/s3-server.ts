/**
 * An S3 server: versitygw over a directory, with versions and Object Lock. Not Amazon's, and none of ours either: it
 * checks signatures and keeps locks as the protocol demands.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { AwsClient } from 'aws4fetch';
import { findGoProgram, type GoProgram } from './build-go-program.ts';
import { startServer, type ServerProgram } from './server-program.ts';

export const VERSITYGW: GoProgram = {
  module: 'github.com/versity/versitygw/cmd/versitygw',
  version: 'v1.8.0',
  trial: ['--version'],
};

export const S3_REGION = 'us-east-1';
const ACCESS_KEY = 'AKIDTEST';
const SECRET_KEY = 'made-up-secret-key';

/** What a collector, or another client, needs to write and read. */
export const S3_CREDENTIALS = { AWS_ACCESS_KEY_ID: ACCESS_KEY, AWS_SECRET_ACCESS_KEY: SECRET_KEY } as const;

export interface S3Server extends ServerProgram, S3Client {}

export interface S3Client {
  /** One signed request, of any status; `path` begins with `/BUCKET`. */
  readonly request: (method: string, path: string, options?: S3RequestOptions) => Promise<S3Answer>;
  /** Makes a bucket whose objects nobody can delete or replace for a day. */
  readonly createLockedBucket: (bucket: string) => Promise<void>;
  readonly createBucket: (bucket: string) => Promise<void>;
  /** All keys under a prefix, in their order. */
  readonly list: (bucket: string, prefix?: string) => Promise<readonly string[]>;
  /** As stored, with whatever encoding it was stored in. */
  readonly get: (bucket: string, key: string) => Promise<Uint8Array>;
}

export interface S3RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** @param dir where objects lie, which outlives a restart */
export async function startS3Server(dir: string): Promise<S3Server> {
  const [objects = '', versions = '', attributes = ''] = ['objects', 'versions', 'attributes'].map((name) => {
    const path = join(dir, name);
    mkdirSync(path, { recursive: true });
    return path;
  });
  const server = await startServer({
    binary: await findGoProgram(VERSITYGW),
    args: (port) => [
      `--port=127.0.0.1:${port}`,
      `--region=${S3_REGION}`,
      '--health=/health',
      '--quiet',
      'posix',
      // In files of their own, since not every file system has extended attributes.
      `--sidecar=${attributes}`,
      `--versioning-dir=${versions}`,
      objects,
    ],
    env: { ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: SECRET_KEY },
    healthPath: '/health',
  });
  return { ...server, ...s3Client(server.url, S3_CREDENTIALS) };
}

const OBJECT_LOCK =
  '<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
  '<ObjectLockEnabled>Enabled</ObjectLockEnabled>' +
  '<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule>' +
  '</ObjectLockConfiguration>';

/** @param url with paths as `/BUCKET/KEY` below it */
export function s3Client(
  url: string,
  credentials: Readonly<Record<keyof typeof S3_CREDENTIALS, string>>,
): S3Client {
  const signer = new AwsClient({
    accessKeyId: credentials.AWS_ACCESS_KEY_ID,
    secretAccessKey: credentials.AWS_SECRET_ACCESS_KEY,
    region: S3_REGION,
    service: 's3',
    retries: 0,
  });
  const send = async (method: string, path: string, options: S3RequestOptions = {}): Promise<Response> =>
    await fetch(await signer.sign(`${url}${path}`, { method, ...options }));
  const request: S3Client['request'] = async (method, path, options) => {
    const response = await send(method, path, options);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const demand = async (...parameters: Parameters<S3Client['request']>): Promise<string> => {
    const { status, text } = await request(...parameters);
    if (status !== 200)
      throw new Error(`S3 answered ${status} to ${parameters[0]} ${parameters[1]}: ${text}`);
    return text;
  };
  return {
    request,
    createBucket: async (bucket) => void (await demand('PUT', `/${bucket}`)),
    async createLockedBucket(bucket) {
      await demand('PUT', `/${bucket}`, { headers: { 'x-amz-bucket-object-lock-enabled': 'true' } });
      const headers = { 'content-md5': createHash('md5').update(OBJECT_LOCK).digest('base64') };
      await demand('PUT', `/${bucket}?object-lock`, { headers, body: OBJECT_LOCK });
    },
    async list(bucket, prefix = '') {
      const keys: string[] = [];
      for (let token: string | undefined = ''; token !== undefined;) {
        const query: Record<string, string> = { 'list-type': '2', prefix };
        if (token !== '') query['continuation-token'] = token;
        const page = await demand('GET', `/${bucket}?${new URLSearchParams(query).toString()}`);
        keys.push(...[...page.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key = '']) => unescapeXml(key)));
        token = /<NextContinuationToken>([^<]+)</.exec(page)?.[1];
      }
      return keys;
    },
    async get(bucket, key) {
      const path = `/${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
      return await getRaw(await signer.sign(`${url}${path}`));
    },
  };
}

/** `fetch` would decode what is stored gzipped, as its Content-Encoding says. */
async function getRaw({ url, headers }: Request): Promise<Uint8Array> {
  const outgoing = get(url, { headers: Object.fromEntries(headers), agent: false });
  // The event's one argument is the message.
  const [message] = (await once(outgoing, 'response')) as [IncomingMessage];
  const bytes = await buffer(message);
  if (message.statusCode !== 200)
    throw new Error(`S3 answered ${message.statusCode}: ${bytes.toString('utf8')}`);
  return bytes;
}

function unescapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => named[name] ?? '');
}
