/**
 * Attempts to lose, forge, reorder or hide a record on a spool that lies still. Of each is asserted what
 * `records verify --key` says of the spool, and what a collector gets when the product delivers it: nothing wrong
 * comes as right, and nothing is missing of which neither a gap nor the auditor of what came tells.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { bodyHash } from '../../../src/event/stamp.ts';
import { openCursor } from '../../../src/spool/cursor.ts';
import { encodeLine } from '../../../src/spool/line.ts';
import { writeMark } from '../../../src/spool/mark.ts';
import { nodeFiles } from '../../../src/spool/node-files.ts';
import { encodeHeader, segmentName } from '../../../src/spool/segment.ts';
import { IDENTITY } from '../../support/spooled.ts';
import {
  copyOf,
  deliver,
  isRecord,
  linesOf,
  makeOriginal,
  rechain,
  sequenceOf,
  verify,
  writeLines,
  type Line,
  type Original,
} from './spool-scene.ts';

const TIMEOUT_MS = 60_000;

interface Attack {
  readonly name: string;
  readonly run: (directory: string, original: Original) => void;
  /** What the auditor says of the spool, if it is not all good. */
  readonly told?: RegExp;
  /** How what is delivered differs: not at all, by records that are held back, or by ones that nobody of ours wrote. */
  readonly delivers: 'all' | 'less' | 'forged';
  /**
   * Where the product cannot win: who may write the disk and has the format can make a killed stream end earlier, and
   * whoever takes it over then signs that end. Only what was delivered, or verified, before contradicts it.
   */
  readonly isLimit?: true;
  /** What the product says while it delivers the rest. */
  readonly alarms?: RegExp;
}

/** Of a record in the middle of the middle segment. */
const NUMBER = 'number 25 ';
const lie = (json: string): string =>
  json.includes(NUMBER)
    ? json.replace('"verdict.decision.effect":"deny"', '"verdict.decision.effect":"allow"')
    : json;

const middle = ({ segments }: Original): string => segments[1] ?? '';

function rewrite(path: string, change: (lines: Line[]) => Line[]): void {
  writeLines(path, change(linesOf(path)));
}

const GIANT_BYTES = 20 * 2 ** 20;

const OTHER = '01a00000-0000-7000-8000-0000000000ff';

/** A stream without a record, whose header says that another ended at this record. */
function plantSuccessor(directory: string, stream: string, body: string): void {
  mkdirSync(join(directory, OTHER), { mode: 0o700 });
  const hash = bodyHash(body);
  const header = encodeHeader({
    ...IDENTITY,
    stream: OTHER,
    firstSequence: 1,
    previousHash: hash,
    predecessor: { stream, sequence: sequenceOf(body), hash },
    open: [],
  });
  const file = join(directory, OTHER, segmentName(1));
  writeFileSync(file, Buffer.concat([encodeLine(header, 0), Buffer.alloc(4096)]), { mode: 0o600 });
}

const ATTACKS: readonly Attack[] = [
  { name: 'nothing at all', run: () => {}, delivers: 'all' },
  {
    name: 'edit a byte',
    run(directory, original) {
      const path = join(directory, middle(original));
      const bytes = readFileSync(path);
      const at = bytes.indexOf(NUMBER);
      bytes[at] = 0x4e;
      writeFileSync(path, bytes);
    },
    told: /are damaged/,
    delivers: 'less',
  },
  {
    name: 'edit a line and put its CRC right',
    run: (directory, original) =>
      rewrite(join(directory, middle(original)), (lines) =>
        lines.map((line) => ({ ...line, json: lie(line.json) })),
      ),
    told: /one of the two was changed|it does not cite the hash/,
    delivers: 'less',
  },
  {
    name: 'edit a line and compute every hash after it anew',
    run: (directory, { segments }) => rechain(directory, segments, lie),
    told: /it is not the record that the checkpoint at|did not sign/,
    delivers: 'forged',
  },
  {
    name: 'swap two records',
    run: (directory, original) =>
      rewrite(join(directory, middle(original)), (lines) => {
        const [a, b] = [lines[5], lines[6]];
        return lines.map((line, index) => (index === 5 ? b : index === 6 ? a : undefined) ?? line);
      }),
    // In which order they lie proves nothing and hides nothing: numbers and hashes are what counts.
    delivers: 'less',
  },
  {
    name: 'swap two records, their numbers too',
    run: (directory, original) =>
      rewrite(join(directory, middle(original)), (lines) =>
        lines.map((line, index) => {
          const from = index === 5 ? lines[6] : index === 6 ? lines[5] : undefined;
          if (from === undefined) return line;
          return {
            ...line,
            json: from.json.replace(
              /"verdict.stream.sequence":\d+/,
              `"verdict.stream.sequence":${sequenceOf(line.json)}`,
            ),
          };
        }),
      ),
    told: /one of the two was changed|it does not cite the hash/,
    delivers: 'less',
  },
  {
    name: 'drop a segment',
    run: (directory, original) => rmSync(join(directory, middle(original))),
    told: /missing/,
    delivers: 'less',
  },
  {
    name: 'drop a whole stream',
    run: (directory, { first }) => rmSync(join(directory, first), { recursive: true }),
    told: /no record of this stream is here/,
    delivers: 'less',
  },
  {
    name: 'cut off what follows the last signature of a killed stream, and that',
    run: (directory, { last }) => rewrite(join(directory, last), (lines) => lines.slice(0, -2)),
    told: /no good checkpoint vouches/,
    delivers: 'less',
    isLimit: true,
  },
  {
    name: 'cut off the end of a stream that was stopped',
    run(directory, { segments }) {
      rewrite(join(directory, segments.at(-1) ?? ''), (lines) => lines.slice(0, -6));
    },
    told: /missing|contradict|it is not the record/,
    delivers: 'less',
  },
  {
    name: 'truncate a file in the middle of a line',
    run: (directory, { segments }) => truncateSync(join(directory, segments[0] ?? ''), 20_000),
    told: /missing|damaged/,
    delivers: 'less',
  },
  {
    name: 'put an old stream there once more under a new name',
    run: (directory, { first }) =>
      cpSync(join(directory, first), join(directory, OTHER), { recursive: true }),
    // Bodies name their stream themselves; under a wrong name they are duplicates to an auditor, and not delivered.
    delivers: 'all',
  },
  {
    name: 'put a stream in the place of another',
    run(directory, { first, second }) {
      rmSync(join(directory, second), { recursive: true });
      renameSync(join(directory, first), join(directory, second));
    },
    // To an auditor of the spool as good as removing the newest stream: nobody else knows of it yet.
    delivers: 'less',
  },
  {
    name: 'a hand-made cursor that skips half of a stream',
    run(directory, { first, segments }) {
      const path = join(directory, segments[1] ?? '');
      const lines = linesOf(path);
      const cursor = openCursor(nodeFiles, join(directory, first), 'otlp');
      const head = lines[0] ?? assert.fail();
      const sequence = sequenceOf(lines[1]?.json ?? '') - 1;
      cursor.advance({ sequence, segment: sequence + 1, offset: encodeLine(head.json, 0).length });
      cursor.flush();
      cursor.close();
    },
    // It stands beside the records and not in them; what it hides is missing from what comes.
    delivers: 'less',
  },
  {
    name: 'a hand-made mark that ends a killed stream early, with the right hash',
    run(directory, { second, last }) {
      const kept = linesOf(join(directory, last)).slice(0, 6);
      const offset = kept.reduce((sum, { json, durable }) => sum + encodeLine(json, durable).length, 0);
      const { json } = kept.at(-1) ?? assert.fail();
      const end = { stream: second, sequence: sequenceOf(json), hash: bodyHash(json) };
      writeMark(nodeFiles, join(directory, second), { end, segment: 1, offset });
    },
    // It stands beside the records, like a cursor: nobody signs the end that it names, and so what comes has none.
    delivers: 'less',
  },
  {
    name: 'a symbolic link in the place of a segment',
    run(directory, original) {
      const path = join(directory, middle(original));
      renameSync(path, `${path}.away`);
      symlinkSync(`${path}.away`, path);
    },
    told: /ELOOP|missing/,
    delivers: 'less',
    alarms: /cannot be read: Error: ELOOP/,
  },
  {
    name: 'a stream that cites another one in its middle, so that the rest is void',
    run(directory, { first, segments }) {
      const lines = linesOf(join(directory, segments[0] ?? '')).filter(isRecord);
      plantSuccessor(directory, first, lines[10]?.json ?? '');
    },
    told: /missing|not the record|no good checkpoint/,
    // Its end was marked when it was taken over, and that is what counts.
    delivers: 'all',
  },
  {
    name: 'a stream that cites a killed one right behind a signature',
    run(directory, { second, last }) {
      const lines = linesOf(join(directory, last)).filter(isRecord);
      const signature = lines.find(({ json }) => json.includes('"verdict.checkpoint"')) ?? assert.fail();
      plantSuccessor(directory, second, signature.json);
    },
    told: /NOT proven/,
    delivers: 'less',
    isLimit: true,
  },
  {
    name: 'a giant line',
    run(directory, { segments }) {
      const path = join(directory, segments[1] ?? '');
      const [before, after] = [linesOf(path).slice(0, 5), linesOf(path).slice(5)];
      const giant = Buffer.concat([Buffer.alloc(GIANT_BYTES, 0x78), Buffer.from('\n')]);
      const written = (line: Line): Buffer => encodeLine(line.json, line.durable);
      writeFileSync(
        path,
        Buffer.concat([
          ...before.map(written),
          giant,
          ...after.map((line) => written({ ...line, durable: line.durable + giant.length })),
        ]),
      );
    },
    told: /are damaged/,
    delivers: 'all',
  },
  {
    name: 'a record of one’s own behind the seal',
    run: (directory, { segments }) =>
      rewrite(join(directory, segments.at(-1) ?? ''), (lines) => [
        ...lines,
        {
          json:
            lines.at(-2)?.json.replace(/"verdict.stream.sequence":(\d+)/, '"verdict.stream.sequence":9999') ??
            '',
          durable: 0,
        },
      ]),
    told: /missing|beyond|changed/,
    delivers: 'all',
  },
];

describe(
  'an attack on a spool that lies still',
  { timeout: ATTACKS.length * TIMEOUT_MS, concurrency: 4 },
  () => {
    let original: Original;
    before(async () => {
      original = await makeOriginal();
    });

    for (const { name, run, told, delivers, isLimit, alarms } of ATTACKS) {
      test(name, { timeout: TIMEOUT_MS }, async () => {
        const directory = copyOf(original.directory);
        run(directory, original);
        const spooled = await verify(directory);
        const report = `${spooled.out}${spooled.err}`;
        if (told !== undefined) {
          assert.notEqual(spooled.exit, 0, report);
          assert.match(report, told);
        } else assert.equal(spooled.exit, 0, report);
        const { foreign, missing, gaps, audit, alarm } = await deliver(directory, original);
        const untold = missing.filter((body) => !gaps.some((gap) => covers(gap, body)));
        if (alarms !== undefined) assert.match(alarm ?? '', alarms);
        if (foreign.length > 0 || untold.length > 0) {
          const what = `${foreign.length} are wrong and ${untold.length} are missing, and the auditor says: ${audit.out}`;
          assert.equal(audit.exit, isLimit === true ? 0 : 1, what);
        }
        const found = foreign.length > 0 ? 'forged' : missing.length > 0 ? 'less' : 'all';
        assert.equal(found, delivers, `${missing.length} missing, ${foreign.length} foreign\n${audit.out}`);
      });
    }
  },
);

function covers(gap: { stream: string; from: number; to: number }, body: string): boolean {
  return body.includes(gap.stream) && gap.from <= sequenceOf(body) && sequenceOf(body) <= gap.to;
}
