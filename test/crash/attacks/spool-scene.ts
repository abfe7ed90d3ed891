/**
 * A spool that the product wrote, for somebody to tamper with: a stream of three segments that ended in good order,
 * and one that was killed and signed up to its end. And what an auditor, and a collector, then see of it.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { checkpointFields } from '../../../src/event/checkpoint.ts';
import { createEventClock } from '../../../src/event/clock.ts';
import { loadSigningKey, type SigningKey } from '../../../src/event/signing.ts';
import { bodyHash } from '../../../src/event/stamp.ts';
import { SEVERITY } from '../../../src/event/vocabulary.ts';
import type { Spool } from '../../../src/export/spool-options.ts';
import { openSpool } from '../../../src/export/spool.ts';
import { decodeLine, encodeLine } from '../../../src/spool/line.ts';
import { isHeader, isSeal, SEGMENT_BYTES_MIN } from '../../../src/spool/segment.ts';
import type { Diagnostics } from '../../../src/telemetry/diagnostics.ts';
import { records, type Ran } from '../../cli/records-scene.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';
import { eventually } from '../../support/collector.ts';
import { IDENTITY } from '../../support/spooled.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-attacks-'));
after(() => rmSync(root, { recursive: true, force: true }));

export const KEYS = join(root, 'keys');
const SILENT: Diagnostics = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

export interface OpenOptions {
  readonly url?: string;
  readonly signing?: SigningKey;
  readonly diagnostics?: Diagnostics;
}

export async function open(directory: string, options: OpenOptions = {}): Promise<Spool> {
  const { url, signing = loadSigningKey({ directory: KEYS, env: {} }), diagnostics = SILENT } = options;
  const endpoint = url === undefined ? undefined : { url: `${url}/v1/logs` };
  const spool = await openSpool({
    directory,
    durability: 'sync',
    segmentBytes: SEGMENT_BYTES_MIN,
    keepMs: 3_600_000,
    bytesMax: 2 ** 30,
    identity: IDENTITY,
    service: { name: 'mcp-verdict', instanceId: 'attacked', version: '0.1.0' },
    exporters: endpoint === undefined ? [] : [{ name: 'otlp', kind: 'otlp', required: true, endpoint }],
    signing,
    clock: createEventClock(),
    diagnostics,
  });
  lifecycle(spool, 'start', {
    'verdict.lifecycle.public_key': signing.publicKeyText,
    'verdict.lifecycle.adopted': spool.adopted,
  });
  return spool;
}

function lifecycle(spool: Spool, state: 'start' | 'stop', fields: object = {}): void {
  spool.record({
    name: 'verdict.lifecycle',
    severity: SEVERITY.info,
    fields: { 'verdict.lifecycle.state': state, ...fields },
  });
}

/** Denials, one commit each, so that each line tells how far the one before was durable. */
export async function deny(spool: Spool, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const uid = spool.record({
      name: 'verdict.decision',
      severity: SEVERITY.deny,
      fields: {
        'verdict.decision.effect': 'deny',
        'verdict.decision.enforced': true,
        'verdict.decision.reason': 'default',
        'verdict.decision.message': `number ${index} ${'x'.repeat(900)}`,
      },
    });
    await spool.recorded(uid);
  }
}

export async function sign(spool: Spool): Promise<void> {
  const key = loadSigningKey({ directory: KEYS, env: {} });
  const fields = checkpointFields(key, spool.position());
  await spool.recorded(spool.record({ name: 'verdict.checkpoint', severity: SEVERITY.info, fields }));
}

export interface Original {
  readonly directory: string;
  /** Ended in good order; three segments. */
  readonly first: string;
  /** Killed; one segment. */
  readonly second: string;
  /** Paths within the directory, in order. */
  readonly segments: readonly string[];
  /** Of the killed one. */
  readonly last: string;
  readonly bodies: ReadonlySet<string>;
  /** As the killed one was before its second half was written. */
  readonly earlier: string;
}

/** Written once; each attack gets a copy. */
export async function makeOriginal(): Promise<Original> {
  const live = join(root, 'live');
  const one = await open(live);
  for (let part = 0; part < 3; part += 1) {
    await deny(one, 40);
    await sign(one);
  }
  const first = one.position().stream;
  lifecycle(one, 'stop');
  await one.stop(1000);
  const two = await open(live);
  const second = two.position().stream;
  await deny(two, 10);
  await sign(two);
  const earlier = join(root, 'earlier');
  // A copy of what lies there now is what kill -9 would leave.
  cpSync(live, earlier, { recursive: true });
  await deny(two, 10);
  await sign(two);
  const directory = join(root, 'original');
  cpSync(live, directory, { recursive: true });
  await two.stop(1000);
  const segments = readdirSync(join(directory, first))
    .filter((name) => /^\d+\.log$/.test(name))
    .sort()
    .map((name) => join(first, name));
  assert.ok(segments.length >= 3, `${segments.length} segments`);
  const last = join(second, '00000000000000000001.log');
  const bodies = [...segments, last].flatMap((path) => linesOf(join(directory, path)).filter(isRecord));
  return {
    directory,
    first,
    second,
    segments,
    last,
    earlier,
    bodies: new Set(bodies.map(({ json }) => json)),
  };
}

export function copyOf(directory: string): string {
  const copy = mkdtempSync(join(root, 'copy-'));
  cpSync(directory, copy, { recursive: true });
  return copy;
}

export interface Line {
  json: string;
  durable: number;
}

export function isRecord({ json }: Line): boolean {
  return !isHeader(json) && !isSeal(json);
}

export function linesOf(path: string): Line[] {
  const bytes = readFileSync(path);
  const lines: Line[] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const end = bytes.indexOf(0x0a, at);
    const line = decodeLine(bytes.subarray(at, end));
    assert.ok(line.ok);
    lines.push({ json: line.json, durable: line.durableBefore });
    at = end + 1;
  }
  return lines;
}

/** Writes lines with right CRCs and right offsets, as somebody would who knows the format. */
export function writeLines(path: string, lines: readonly Line[]): void {
  let offset = 0;
  const written = lines.map(({ json }) => {
    const bytes = encodeLine(json, offset);
    offset += bytes.length;
    return bytes;
  });
  writeFileSync(path, Buffer.concat([...written, Buffer.alloc(4096)]));
}

/** Makes every hash after an edit right again, over the segments of a stream: all but the signatures. */
export function rechain(
  directory: string,
  segments: readonly string[],
  edit: (json: string) => string,
): void {
  let previous: string | undefined;
  for (const segment of segments) {
    const path = join(directory, segment);
    const lines = linesOf(path).map((line) => {
      const members = JSON.parse(isRecord(line) ? edit(line.json) : line.json) as Record<string, unknown>;
      if (previous !== undefined && isHeader(line.json)) members['previous_hash'] = previous;
      if (isSeal(line.json)) members['hash'] = previous;
      if (!isRecord(line)) return { ...line, json: JSON.stringify(members) };
      if (previous !== undefined) members['verdict.stream.previous_hash'] = previous;
      const json = JSON.stringify(members);
      previous = bodyHash(json);
      return { ...line, json };
    });
    writeLines(path, lines);
  }
}

export function verify(directory: string, ...more: string[]): Promise<Ran> {
  const { publicKeyText } = loadSigningKey({ directory: KEYS, env: {} });
  return records(root, ['verify', directory, '--key', publicKeyText, ...more]);
}

export interface Delivery {
  /** Of the tampered streams. */
  readonly bodies: ReadonlySet<string>;
  /** Bodies that nobody of ours wrote. */
  readonly foreign: readonly string[];
  /** Originals that did not come. */
  readonly missing: readonly string[];
  /** Sequences by stream that a gap record of the deliverer names. */
  readonly gaps: readonly { readonly stream: string; readonly from: number; readonly to: number }[];
  /** What the product says is wrong. */
  readonly alarm: string | undefined;
  /** What an auditor finds in what came. */
  readonly audit: Ran;
}

/** Starts over the spool, delivers all there is, and stops. */
export async function deliver(directory: string, { bodies, first, second }: Original): Promise<Delivery> {
  const receiver = await startOtlpReceiver();
  const spool = await open(directory, { url: receiver.url });
  try {
    // What cannot be read stays, and an alarm says so.
    await eventually(() => (backlog(spool) === 0 || alarm(spool) !== undefined ? true : undefined), {
      what: 'the spool to drain',
    });
    const alarmed = alarm(spool);
    lifecycle(spool, 'stop');
    await spool.stop(5000);
    const received = receiver.logs().map(({ body }) => String(body));
    const ours = received.filter((body) => [first, second].includes(streamOf(body)));
    const came = new Set(ours);
    const file = join(directory, '..', `received-${Date.now()}-${Math.random()}.jsonl`);
    writeFileSync(file, received.join('\n'));
    return {
      bodies: came,
      foreign: [...came].filter((body) => !bodies.has(body)),
      missing: [...bodies].filter((body) => !came.has(body)),
      gaps: receiver
        .logs()
        .filter(({ eventName }) => eventName === 'verdict.gap')
        .map(({ attributes }) => ({
          stream: String(attributes['verdict.gap.stream']),
          from: Number(attributes['verdict.gap.from']),
          to: Number(attributes['verdict.gap.to']),
        })),
      alarm: alarmed,
      audit: await verify(file),
    };
  } finally {
    await spool.stop(0);
    await receiver.close();
  }
}

function backlog(spool: Spool): number {
  const { exporters } = spool.status();
  return exporters['otlp']?.backlogRecords ?? Infinity;
}

function alarm(spool: Spool): string | undefined {
  return spool.status().exporters['otlp']?.alarm;
}

function streamOf(body: string): string {
  return String((JSON.parse(body) as Record<string, unknown>)['verdict.stream.id']);
}

export function sequenceOf(body: string): number {
  return Number((JSON.parse(body) as Record<string, unknown>)['verdict.stream.sequence']);
}
