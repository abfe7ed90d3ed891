/** A spool on disk with streams of known records, and the verb run over it in this process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after } from 'node:test';
import { recordsVerb } from '../../src/cli/records.ts';
import type { Io } from '../../src/cli/verb.ts';
import { ERRORS, VerdictError } from '../../src/errors.ts';
import { bodyHash, ZERO_HASH } from '../../src/event/stamp.ts';
import { encodeLine } from '../../src/spool/line.ts';
import { encodeHeader, encodeSeal, segmentName } from '../../src/spool/segment.ts';
import type { Citation } from '../../src/spool/position.ts';
import type { Scene } from '../event/verify-scene.ts';

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-records-'));
  after(() => rmSync(directory, { recursive: true }));
  return directory;
}

export interface SpoolOptions {
  /** Sequences that begin a segment, beside 1. */
  readonly cuts?: readonly number[];
  readonly sealed?: boolean;
  readonly predecessor?: Citation;
  /** Bytes behind the last line, before the zeros. */
  readonly tail?: Uint8Array;
}

const PREALLOCATED_BYTES = 2048;

/** Writes a stream as the committer does, one record a commit. @returns paths of its segments */
export function writeSpool(spool: string, scene: Scene, options: SpoolOptions = {}): string[] {
  const { cuts = [], sealed = true, predecessor, tail = Buffer.alloc(0) } = options;
  const directory = join(spool, scene.stream);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const firsts = [1, ...cuts];
  return firsts.map((first, index) => {
    const bodies = scene.bodies.slice(first - 1, (firsts[index + 1] ?? Infinity) - 1);
    const isLast = index === firsts.length - 1;
    const lines = [header(scene, first, predecessor)];
    let durable = lines[0]?.length ?? 0;
    const push = (json: string): void => {
      lines.push(encodeLine(json, durable));
      durable += lines.at(-1)?.length ?? 0;
    };
    for (const body of bodies) push(body);
    if (!isLast || sealed) push(seal(scene, first + bodies.length - 1, bodies.length));
    if (isLast) lines.push(Buffer.from(tail));
    const path = join(directory, segmentName(first));
    writeFileSync(path, Buffer.concat([...lines, Buffer.alloc(PREALLOCATED_BYTES)]));
    return path;
  });
}

function header(scene: Scene, first: number, predecessor: Citation | undefined): Buffer {
  const previous = scene.bodies[first - 2];
  const json = encodeHeader({
    stream: scene.stream,
    firstSequence: first,
    previousHash: previous === undefined ? ZERO_HASH : bodyHash(previous),
    predecessor,
    resource: { 'service.name': 'mcp-verdict', 'host.name': 'h' },
    scope: { name: 'mcp-verdict', version: '1.0.0', schemaUrl: 'https://schema.example/1' },
    open: [],
  });
  return encodeLine(json, 0);
}

function seal(scene: Scene, last: number, count: number): string {
  return encodeSeal({ stream: scene.stream, lastSequence: last, hash: scene.place(last).hash, count });
}

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `records` as main would; an error of ours becomes its exit code and its text. */
export async function records(
  cwd: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<Ran> {
  const texts = { out: '', err: '' };
  const collect = (name: 'out' | 'err'): PassThrough => {
    const stream = new PassThrough();
    stream.setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
    return stream;
  };
  const io: Io = {
    stdin: Readable.from([Buffer.from(input)]),
    stdout: collect('out'),
    stderr: collect('err'),
    env: {},
    cwd,
  };
  const exit = await run(args, io);
  await new Promise((resolve) => setImmediate(resolve));
  return { exit, ...texts };
}

async function run(args: readonly string[], io: Io): Promise<number> {
  try {
    return await recordsVerb.run(args, io);
  } catch (error) {
    if (!(error instanceof VerdictError)) throw error;
    io.stderr.write(error.message);
    const row = ERRORS[error.code];
    return 'exit' in row ? row.exit : 1;
  }
}
