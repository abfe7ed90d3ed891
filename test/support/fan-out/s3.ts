/** A real S3 server that is not Amazon's, with a bucket whose objects are locked. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { S3_CREDENTIALS, S3_REGION, startS3Server } from '../s3-server.ts';
import type { Destination, DestinationKind, Returned } from './destination.ts';
import { startFaultFront } from './fault-front.ts';

const BUCKET = 'audit';

export const s3: DestinationKind = {
  name: 's3',
  config: 'destinations/s3.yaml',
  strictConfig: 'strict/s3.yaml',
  exporter: 'awss3/audit',
  // This exporter calls no answer final: it tries again whatever it was told.
  deletesOn: [],
  start,
  checkFields,
};

async function start(dir: string): Promise<Destination> {
  const server = await startS3Server(dir);
  await server.createLockedBucket(BUCKET);
  const front = await startFaultFront(server.port);
  /** Objects never change. */
  const known = new Map<string, Uint8Array>();
  const objects = async (): Promise<ReadonlyMap<string, Uint8Array>> => {
    for (const key of await server.list(BUCKET))
      if (!known.has(key)) known.set(key, await server.get(BUCKET, key));
    return known;
  };
  return {
    env: {
      S3_BUCKET: BUCKET,
      S3_REGION,
      S3_ENDPOINT: `http://127.0.0.1:${front.port}`,
      S3_FORCE_PATH_STYLE: 'true',
      S3_FLUSH_INTERVAL: '200ms',
      ...S3_CREDENTIALS,
      // Quarters of an hour away from UTC, so that a partition in local time is in no right folder.
      TZ: 'Asia/Kathmandu',
    },
    front,
    async read() {
      const found = [...(await objects())];
      return found.flatMap(([key, bytes]) =>
        linesOf(bytes).map((body) => ({ body, fields: { key } }) satisfies Returned),
      );
    },
    // As `aws s3 sync` lays them down.
    async exportTo(exported) {
      const found = [...(await objects())];
      return found.map(([key, bytes]) => {
        const file = join(exported, key);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, bytes);
        return file;
      });
    },
    async restart() {
      await server.stop();
      await server.start();
    },
    async close() {
      await Promise.all([front.close(), server.kill()]);
    },
  };
}

function linesOf(bytes: Uint8Array): string[] {
  const text = gunzipSync(bytes).toString('utf8');
  assert.ok(text.endsWith('\n'), 'an object breaks off');
  return text.slice(0, -1).split('\n');
}

const KEY =
  /^mcp-verdict\/year=(\d{4})\/month=(\d\d)\/day=(\d\d)\/hour=(\d\d)\/logs_([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.txt\.gz$/;

/** The partition is read before the id is made, and an hour may begin in between. */
const TOLERANCE_MS = 5_000;

function checkFields({ fields }: Returned): void {
  const [, year, month, day, hour, high = '', low = ''] = KEY.exec(String(fields['key'])) ?? [];
  assert.ok(year !== undefined, `an object of another name: ${String(fields['key'])}`);
  // A UUIDv7 begins with the time in which it was made.
  const madeMs = Number.parseInt(high + low, 16);
  const hourMs = Date.parse(`${year}-${month}-${day}T${hour}:00:00Z`);
  const sinceMs = madeMs - hourMs;
  assert.ok(
    sinceMs >= 0 && sinceMs < 3_600_000 + TOLERANCE_MS,
    `not the hour in UTC: ${String(fields['key'])}`,
  );
}
