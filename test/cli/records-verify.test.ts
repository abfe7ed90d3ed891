import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer';
import { COMMANDS_MAX } from '../../src/cli/records-healing.ts';
import type { VerifyReport } from '../../src/event/verify-report.ts';
import { originOf, SpooledLogRecord } from '../../src/export/spooled-log-record.ts';
import { segmentName } from '../../src/spool/segment.ts';
import { edit, KEY, newKey, Scene, streamId, told, wholeStream } from '../event/verify-scene.ts';
import { records, temporaryDirectory, writeSpool } from './records-scene.ts';

const directory = temporaryDirectory();
const whole = wholeStream();
const scope = { name: 'mcp-verdict', version: '1', schemaUrl: '' };

function otlp(bodies: readonly string[], name = scope.name): string {
  const origin = originOf({ resource: { 'service.name': 's' }, scope: { ...scope, name } });
  const logs = bodies.map((body) => new SpooledLogRecord(body, origin));
  return Buffer.from(JsonLogsSerializer.serializeRequest(logs) ?? []).toString();
}

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(directory, name), content);
  return name;
}

const lines = `${whole.bodies.join('\n')}\n`;
const requests = `${otlp(whole.bodies.slice(0, 4))}\n${otlp(whole.bodies.slice(4))}\n`;
const pretty = JSON.stringify(JSON.parse(otlp(whole.bodies)), undefined, 2);
const segments = writeSpool(join(directory, 'spool'), whole, { cuts: [4, 7] });

async function verify(args: readonly string[], input?: string | Uint8Array) {
  const { exit, out, err } = await records(
    directory,
    ['verify', '--json', '--key', KEY.publicKeyText, ...args],
    input,
  );
  const report = out === '' ? undefined : (JSON.parse(out) as VerifyReport & { notes: string[] });
  return { exit, err, report, told: report === undefined ? [] : told(report) };
}

const inputs: [name: string, args: readonly string[], input?: string | Uint8Array][] = [
  ['a spool directory', ['spool']],
  ['the directory of one stream', [`spool/${whole.stream}`]],
  ['segment files in any order', segments.toReversed()],
  ['lines of bodies', [file('bodies.jsonl', lines)]],
  ['lines without a last line end, with CR LF', [file('crlf.jsonl', whole.bodies.join('\r\n'))]],
  ['gzipped lines', [file('bodies.gz', gzipSync(lines))]],
  [
    'several gzip members',
    [file('members.gz', Buffer.concat(whole.bodies.map((body) => gzipSync(`${body}\n`))))],
  ],
  ['OTLP/JSON, a request a line', [file('otlp.jsonl', requests)]],
  ['OTLP/JSON, two requests in a line', [file('seam.jsonl', requests.replace('\n', ''))]],
  ['OTLP/JSON, one document', [file('otlp.json', otlp(whole.bodies))]],
  ['OTLP/JSON, one document over many lines', [file('pretty.json', pretty)]],
  ['OTLP/JSON, documents one behind the other', [file('two.json', `${pretty}\n${pretty}`)]],
  [
    'OTLP/JSON beside logs of others',
    [
      file(
        'mixed.jsonl',
        `${requests}${otlp([whole.bodies[0] ?? ''], 'x').replaceAll(/verdict/g, 'other')}\n`,
      ),
    ],
  ],
  ['gzipped segments', [file('segment.gz', gzipSync(readFileSync(segments[0] ?? ''))), ...segments.slice(1)]],
  ['an array of bodies', ['-'], `[\n${whole.bodies.join(',\n')}\n]`],
  ['standard input', ['-'], lines],
  ['gzipped standard input', ['-'], gzipSync(requests)],
  ['everything at once', ['spool', 'bodies.jsonl', 'otlp.json', '-'], lines],
];

describe('records verify reads', () => {
  for (const [name, args, input] of inputs) {
    test(name, async () => {
      const { exit, report, told, err } = await verify(args, input);
      assert.deepEqual([told, exit, err], [[], 0, '']);
      assert.deepEqual([report?.records, report?.streams[0]?.signedTo], [10, 9]);
    });
  }
});

describe('records verify finds', () => {
  const lie = { 'verdict.decision.effect': 'deny' };
  const cases: [name: string, input: string | Uint8Array, findings: string[]][] = [
    ['nothing', '', ['nothing']],
    [
      'an edited body',
      lines.replace(whole.bodies[2] ?? '', edit(whole.bodies[2] ?? '', lie)),
      ['changed 3-3', 'unsigned 1-3'],
    ],
    ['a line cut off', lines.slice(0, -40), ['unreadable']],
    ['lines that are no records', `${lines}hello\n{"a":1}\n`, ['unreadable', 'unreadable']],
    ['attributes that lie', requests.replace('"tool-2"', '"tool-x"'), ['attributes 2-2']],
    [
      'a severity that lies',
      requests.replace('"severityNumber":9', '"severityNumber":13'),
      ['attributes 1-1'],
    ],
    ['a time that lies', requests.replace(/"timeUnixNano":"1\d/, '"timeUnixNano":"12'), ['attributes 1-1']],
    [
      'one attribute twice',
      requests.replace(
        '"attributes":[{"key":"log',
        '"attributes":[{"key":"log.record.uid","value":{"stringValue":"x"}},{"key":"log',
      ),
      ['attributes 1-1'],
    ],
    [
      'a body that a processor took apart',
      requests.replace(/"body":\{"stringValue":"(?:[^"\\]|\\.)*"\}/, '"body":{"kvlistValue":{"values":[]}}'),
      ['missing 1-1', 'unreadable'],
    ],
    ['a document cut off', pretty.slice(0, -30), ['nothing', 'unreadable']],
    ['gzip cut off', gzipSync(lines).subarray(0, -20), ['unreadable']],
    ['gzip with nothing behind its magic', Buffer.from([0x1f, 0x8b]), ['nothing', 'unreadable']],
  ];
  for (const [name, input, findings] of cases) {
    test(name, async () => {
      const { exit, told } = await verify(['-'], input);
      assert.equal(exit, 1);
      for (const finding of findings) assert.ok(told.includes(finding), `${finding} in ${told.join(', ')}`);
    });
  }

  test('every flipped byte of a segment', async () => {
    const bytes = readFileSync(segments[1] ?? '');
    const end = bytes.indexOf(0);
    const others = segments.filter((path) => path !== segments[1]);
    for (let at = 0; at < end; at += 89) {
      const broken = Buffer.from(bytes);
      broken[at] = (broken[at] ?? 0) ^ 0x04;
      const { exit } = await verify([file('flipped.log', broken), ...others]);
      assert.equal(exit, 1, `byte ${at}`);
    }
  });
});

test('a living spool: what a crash left of a commit is a note, and what a successor ended is void', async () => {
  const dead = new Scene(7).start().calls(3).checkpoint();
  const successor = new Scene(8, { previousHash: dead.place(4).hash }).start();
  successor.checkpoint(dead.place(4)).stop();
  const spool = join(directory, 'crashed');
  writeSpool(spool, dead, { sealed: false, tail: Buffer.from('{"event.name":"verd') });
  writeSpool(spool, successor, { predecessor: dead.place(4) });
  const { exit, told, report } = await verify([spool]);
  assert.deepEqual([told, exit], [[], 0]);
  assert.equal(report?.notes.length, 1);
  assert.match(report?.notes[0] ?? '', /cut short before anybody was told of it$/);
  assert.deepEqual(
    report?.streams.map(({ end }) => end),
    ['successor', 'stop'],
  );
});

test('damage in the middle of a spool is named with its place', async () => {
  const spool = join(directory, 'damaged');
  const [path = ''] = writeSpool(spool, wholeStream(9));
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0, 2048, 2560));
  const { exit, told, report } = await verify([spool]);
  assert.equal(exit, 1);
  assert.ok(told.some((finding) => finding.startsWith('missing')));
  assert.match(
    report?.findings.find(({ kind }) => kind === 'unreadable')?.text ?? '',
    /bytes \d+ to \d+ are damaged/,
  );
});

test('people get one line a stream, one a finding, a last word and what to do; hostile text is escaped', async () => {
  const broken = whole.bodies.filter((_, at) => at !== 5).join('\n');
  const { exit, out } = await records(directory, ['verify', '-'], `${broken}\n`);
  assert.equal(exit, 1);
  const rows = out.trimEnd().split('\n');
  assert.equal(rows.length, 5);
  assert.match(rows[0] ?? '', /^BAD 019aaaaa-.*: 9 records, unbroken from 1 to 5, 7 to 10 \(2026/);
  assert.match(rows[1] ?? '', /^ {2}! 019aaaaa-.* 6: missing, and nothing explains it$/);
  assert.match(rows[2] ?? '', /^NOT proven: 9 records in 1 stream\. Unsigned: signatures were not checked/);
  const hostile = edit(whole.bodies[0] ?? '', { 'verdict.stream.id': '\u001b[2J' });
  assert.ok(!(await records(directory, ['verify', '-'], hostile)).out.includes('\u001b'));
});

test('what cannot be read is named with file and line', async () => {
  const { out } = await records(directory, ['verify', file('bad.jsonl', `${lines}\nhello\n`)]);
  assert.match(out, /! bad\.jsonl:12: this is not the body of a record/);
});

test('a key comes from a file too; another key proves nothing', async () => {
  const pem = file('key.pub', `${KEY.publicKeyText}\n`);
  assert.equal((await records(directory, ['verify', 'bodies.jsonl', '--key', pem])).exit, 0);
  const other = newKey().publicKeyText;
  assert.equal((await records(directory, ['verify', 'bodies.jsonl', '--key', other])).exit, 1);
  assert.equal((await records(directory, ['verify', 'bodies.jsonl', '--key', other, '--key', pem])).exit, 0);
});

test('--stream, --from and --to narrow what is judged', async () => {
  const open = new Scene(5).start().calls(4).checkpoint();
  const path = file('open.jsonl', `${open.bodies.slice(1).join('\n')}\n${lines}`);
  assert.equal((await verify([path])).exit, 1);
  assert.equal((await verify([path, '--stream', whole.stream])).exit, 0);
  assert.deepEqual((await verify([path, '--stream', open.stream])).told, ['missing 1-1', 'no_end 6-6']);
  assert.equal((await verify([path, '--stream', open.stream, '--from', '2', '--to', '5'])).exit, 0);
  assert.equal((await verify([path, '--stream', open.stream, '--from', 'any', '--to', '5'])).exit, 0);
  assert.deepEqual((await verify([path, '--stream', streamId(99)])).told, ['nothing']);
});

for (const [name, args, exit, text] of [
  ['no input', ['verify'], 2, /name files, a spool directory, or -/],
  ['a file that is not there', ['verify', 'nowhere'], 3, /^nowhere cannot be read: ENOENT/],
  ['a key that is none', ['verify', '-', '--key', 'hunter2'], 2, /neither a public key nor a file/],
  ['a file that holds no key', ['verify', '-', '--key', 'bodies.jsonl'], 2, /holds no Ed25519 public key/],
  ['a stream that is no id', ['verify', '-', '--stream', '../x'], 2, /must be the UUID/],
  ['a sequence that is none', ['verify', '-', '--from', '0'], 2, /--from must be a sequence/],
  ['a range the wrong way round', ['verify', '-', '--from', '5', '--to', '4'], 2, /must not be greater/],
] as const) {
  test(`refused: ${name}`, async () => {
    const ran = await records(directory, args);
    assert.equal(ran.exit, exit);
    assert.match(ran.err, text);
  });
}

describe('what is missing comes with the commands that send it again', () => {
  const shown = async (bodies: readonly string[], args: readonly string[] = ['-']) => {
    const { out } = await records(
      directory,
      ['verify', '--key', KEY.publicKeyText, ...args],
      bodies.join('\n'),
    );
    return out.split('\n').filter((line) => line.startsWith('  mcp-verdict') || line.startsWith('  and '));
  };
  const command = (from: number, to: number, stream = whole.stream) =>
    `  mcp-verdict records replay --stream ${stream} --from ${from} --to ${to} --exporter otlp`;
  const without = (...sequences: number[]) => whole.bodies.filter((_, at) => !sequences.includes(at + 1));

  test('one for each hole, at the beginning and at the end too', async () => {
    assert.deepEqual(await shown(without(1, 3, 4)), [command(1, 1), command(3, 4)]);
    assert.deepEqual(await shown(whole.bodies.slice(0, 8)), []);
    assert.deepEqual(await shown([...whole.bodies.slice(0, 3), whole.bodies[4]!]), [command(4, 4)]);
  });

  test('a stream that is not here at all, as far as it is told of', async () => {
    const end = whole.last;
    const adopted = [`${end.stream} ${end.sequence} ${end.hash}`];
    const heir = new Scene(2).start().lifecycle('start', { 'verdict.lifecycle.adopted': adopted }).stop();
    assert.deepEqual(await shown(heir.bodies), [command(1, 10)]);
    assert.deepEqual(await shown([...heir.bodies, ...whole.bodies.slice(0, 8)]), [command(9, 10)]);
  });

  test('none where all is here, where records are filtered, and for a spool, which has not what it lacks', async () => {
    assert.deepEqual(await shown(whole.bodies), []);
    const denied = new Scene(3)
      .record('verdict.decision', {}, 13)
      .calls(1)
      .record('verdict.decision', {}, 13);
    const filtered = denied
      .calls(1)
      .record('verdict.decision', {}, 13)
      .bodies.filter((_, at) => at % 2 === 0);
    assert.deepEqual(await shown(filtered), []);
    writeSpool(join(directory, 'holed'), whole, { cuts: [4, 7] });
    rmSync(join(directory, 'holed', whole.stream, segmentName(4)));
    const { exit, out } = await records(directory, ['verify', 'holed']);
    assert.deepEqual(
      [exit, /4 to 6: missing/.test(out), out.includes('mcp-verdict records')],
      [1, true, false],
    );
  });

  test('none with a stream id that a shell would run', async () => {
    const hostile = whole.bodies.map((body) => edit(body, { 'verdict.stream.id': '$(touch x)' }));
    assert.ok(!(await shown(hostile.filter((_, at) => at !== 2))).join().includes('touch'));
  });

  test('no more than a person would run', async () => {
    const long = new Scene(4).start().calls(2 * COMMANDS_MAX + 5);
    const lines = await shown(long.checkpoint().bodies.filter((_, at) => at % 2 === 0));
    assert.deepEqual(
      [lines.length, lines.at(-1)],
      [COMMANDS_MAX + 1, '  and 3 more: verify again after these'],
    );
  });
});
