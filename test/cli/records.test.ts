import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { PassThrough } from 'node:stream';
import { recordsVerb } from '../../src/cli/records.ts';
import { BATCH_RECORDS_MAX } from '../../src/cli/records-batch.ts';
import { REPLAY_TRIES, replayRecords } from '../../src/cli/records-replay.ts';
import { tailRecords } from '../../src/cli/records-tail.ts';
import { Scene, streamId, wholeStream } from '../event/verify-scene.ts';
import { startLineReceiver } from '../support/line-receiver.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { records, temporaryDirectory, writeSpool } from './records-scene.ts';

const directory = temporaryDirectory();
const spool = join(directory, 'spool');
const [first, second] = [wholeStream(1), wholeStream(2)];
writeSpool(spool, first, { cuts: [4] });
writeSpool(spool, second);

for (const [name, args, text] of [
  ['no verb', [], /records needs a verb: tail, verify, export, replay, repair/],
  ['another verb', ['delete'], /there is no records delete/],
  ['a name of every object', ['constructor'], /there is no records constructor/],
  ['export without a format', ['export'], /give --format and one of json, otlp-json, cef, ocsf/],
  ['export in another format', ['export', '--format', 'toString'], /give --format and one of/],
  ['replay without a range', ['replay', '--stream', streamId(1)], /replay needs --stream, --from and --to/],
  [
    'replay to nowhere',
    ['replay', '--stream', streamId(1), '--from', '1', '--to', '2'],
    /give one of --endpoint URL/,
  ],
  [
    'replay by an exporter that is none',
    ['replay', '--stream', streamId(1), '--from', '1', '--to', '2', '--exporter', 'x'],
    /there is no exporter x/,
  ],
  ['a stream that is not there', ['tail', '--spool', 'spool', '--stream', streamId(9)], /holds no stream/],
] as const) {
  test(`refused as usage: ${name}`, async () => {
    const { exit, err } = await records(directory, args);
    assert.equal(exit, 2);
    assert.match(err, text);
  });
}

test('the help names every verb, with examples', () => {
  for (const verb of ['tail', 'verify', 'export', 'replay', 'repair']) {
    assert.match(recordsVerb.help, new RegExp(`^${verb} {2,}\\S`, 'm'));
  }
  assert.match(recordsVerb.help, /Examples:\n {2}mcp-verdict records/);
});

test('a spool that is not there is said so', async () => {
  const { exit, err } = await records(directory, ['tail', '--spool', 'nowhere']);
  assert.deepEqual([exit, /^.*nowhere cannot be read: ENOENT/.test(err)], [3, true]);
});

describe('records tail', () => {
  test('shows each record on a line, the oldest stream first', async () => {
    const { exit, out } = await records(directory, ['tail', '--spool', 'spool']);
    const rows = out.trimEnd().split('\n');
    assert.deepEqual([exit, rows.length], [0, 20]);
    assert.match(rows[0] ?? '', /^2026-11-22T09:00:01Z lifecycle +start$/);
    assert.match(rows[1] ?? '', /^2026-11-22T09:00:02Z ALLOW +tool-2 +rule +trace -$/);
    assert.match(rows[4] ?? '', new RegExp(`checkpoint ${streamId(1)} 4$`));
  });

  test('gives lines of any format', async () => {
    const args = ['tail', '--spool', 'spool', '--stream', streamId(2), '--format'];
    const { out } = await records(directory, [...args, 'cef']);
    assert.match(out, /^(?:CEF:0\|.*\n){10}$/);
    assert.equal((await records(directory, [...args, 'json'])).out, `${second.bodies.join('\n')}\n`);
    assert.equal((await records(directory, [...args, 'leef'])).exit, 2);
  });

  test('gives bodies as they are with --json', async () => {
    const { out } = await records(directory, ['tail', '--spool', 'spool', '--stream', streamId(2), '--json']);
    assert.equal(out, `${second.bodies.join('\n')}\n`);
  });

  test(
    'follows a living stream into its next segment, and shows each record once',
    { timeout: 20_000 },
    async () => {
      const scene = new Scene(6).start().calls(2);
      const living = join(directory, 'living');
      writeSpool(living, scene, { sealed: false });
      const stdout = new PassThrough();
      const io = { stdin: new PassThrough(), stdout, stderr: new PassThrough(), env: {}, cwd: directory };
      const stop = new AbortController();
      const done = tailRecords(['--spool', 'living', '--follow', '--json'], io, () => stop.signal);
      let out = '';
      for await (const chunk of stdout) {
        out += String(chunk);
        const lines = out.split('\n').length - 1;
        if (lines === 3) writeSpool(living, scene.calls(2), { cuts: [5], sealed: false });
        if (lines < 5) continue;
        stop.abort();
        break;
      }
      assert.equal(await done, 0);
      assert.equal(out, `${scene.bodies.join('\n')}\n`);
    },
  );

  test('shows what an agent sent without moving the cursor', async () => {
    const scene = new Scene(3).record('verdict.decision', {
      'verdict.decision.effect': 'deny',
      'verdict.decision.message': 'no\u001b[2J\nno',
      'gen_ai.tool.name': 'a\u001b]0;b\u0007',
    });
    writeSpool(join(directory, 'hostile'), scene);
    const { out } = await records(directory, ['tail', '--spool', 'hostile']);
    assert.ok(!/[\u001b\u0007]/.test(out));
    assert.equal(out.trimEnd().split('\n').length, 2);
  });
});

describe('records export', () => {
  test('json gives bodies as they are, and only those asked for', async () => {
    const args = ['export', '--spool', 'spool', '--stream', streamId(1), '--format', 'json'];
    assert.equal((await records(directory, args)).out, `${first.bodies.join('\n')}\n`);
    const some = await records(directory, [...args, '--from', '3', '--to', '5']);
    assert.deepEqual([some.exit, some.out], [0, `${first.bodies.slice(2, 5).join('\n')}\n`]);
  });

  test('otlp-json is what verify proves, attributes too', async () => {
    const exported = await records(directory, ['export', '--spool', 'spool', '--format', 'otlp-json']);
    assert.equal(exported.out.trimEnd().split('\n').length, 20);
    assert.match(exported.out, /"host\.name","value":\{"stringValue":"h"\}/);
    const { exit, out } = await records(directory, ['verify', '-'], exported.out);
    assert.deepEqual([exit, /All proven: 20 records in 2 streams/.test(out)], [0, true]);
  });

  test('ocsf is what verify proves too, in a document as well', async () => {
    const { out } = await records(directory, ['export', '--spool', 'spool', '--format', 'ocsf']);
    const events = out.trimEnd().split('\n');
    assert.equal(events.length, 20);
    for (const input of [out, `[\n${events.join(',\n')}\n]`]) {
      const proven = await records(directory, ['verify', '-'], input);
      assert.deepEqual([proven.exit, /All proven: 20 records/.test(proven.out)], [0, true], proven.out);
    }
    const changed = out.replace('tool-2\\"', 'tool-9\\"');
    assert.notEqual(changed, out);
    assert.equal((await records(directory, ['verify', '-'], changed)).exit, 1);
  });

  test('cef is a line a record, of a segment whose header gives the host', async () => {
    const args = ['export', '--spool', 'spool', '--stream', streamId(1), '--format', 'cef'];
    const { exit, out } = await records(directory, args);
    assert.deepEqual([exit, out.split('\n').length - 1], [0, 10]);
    assert.match(out, /^(?:CEF:0\|mcp-verdict\|mcp-verdict\|1\.0\.0\|.* dvchost=h .*\n){10}$/);
  });

  test('what is asked for and not there makes it fail, and the rest is written', async () => {
    const args = [
      'export',
      '--spool',
      'spool',
      '--stream',
      streamId(1),
      '--format',
      'json',
      '--from',
      '9',
      '--to',
      '12',
    ];
    const { exit, out, err } = await records(directory, args);
    assert.deepEqual([exit, out.split('\n').length - 1], [1, 2]);
    assert.match(err, /: 11 to 12 are not in the spool/);
  });
});

describe('records replay', () => {
  const range = (from: number, to: number) => ['--stream', streamId(1), '--from', `${from}`, '--to', `${to}`];
  const replay = async (args: readonly string[], waits: number[] = []) => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const io = { stdin: new PassThrough(), stdout, stderr, env: {}, cwd: directory };
    const exit = await replayRecords(args, io, (delayMs) => Promise.resolve(waits.push(delayMs)));
    return { exit, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
  };

  test('sends the records again as they were, and says how many', async (context) => {
    const receiver = await startOtlpReceiver();
    context.after(() => receiver.close());
    const { exit, out } = await replay([
      '--spool',
      'spool',
      ...range(3, 8),
      '--endpoint',
      `${receiver.url}/v1/logs`,
    ]);
    assert.equal(exit, 0);
    assert.match(out, /^6 records were sent again to http:\/\/127\.0\.0\.1:\d+.* and acknowledged\.\n$/);
    assert.deepEqual(
      receiver.logs().map(({ body }) => body),
      first.bodies.slice(2, 8),
    );
  });

  test('tries again, gives up after a while, and says where to go on', async (context) => {
    const receiver = await startOtlpReceiver();
    context.after(() => receiver.close());
    receiver.answerWith((_, index) => ({ status: index < REPLAY_TRIES - 1 ? 503 : 200 }));
    const args = ['--spool', 'spool', ...range(1, 10), '--endpoint', `${receiver.url}/v1/logs`];
    const waits: number[] = [];
    assert.equal((await replay(args, waits)).exit, 0);
    assert.deepEqual(waits, [1000, 2000, 4000, 8000]);
    receiver.answerWith(() => ({ status: 503 }));
    const { exit, err } = await replay(args);
    assert.equal(exit, 4);
    assert.match(err, /0 records were sent again; those from 1 on were not: try --from 1\n$/);
  });

  test('goes by any exporter of the configuration, and sends no more than that sends', async (context) => {
    const receiver = await startLineReceiver();
    context.after(receiver.close);
    writeFileSync(
      join(directory, 'verdict.yaml'),
      'policy: [p.yaml]\nservers: {a: {url: "http://127.0.0.1:1/mcp"}}\nidentity: {anonymous: allow}\n' +
        'spool: {directory: spool}\nexporters:\n  replayed: {kind: file, path: replayed.jsonl}\n' +
        `  http: {url: "${receiver.url}", batch: lines, effects: [allow]}\n`,
    );
    const by = (name: string) => replay(['--config', 'verdict.yaml', ...range(1, 10), '--exporter', name]);
    assert.equal((await by('http')).exit, 0);
    const allowed = first.bodies.filter((body) => body.includes('"verdict.decision.effect":"allow"'));
    assert.ok(allowed.length > 0);
    assert.deepEqual(receiver.lines, allowed);
    const { exit, out } = await by('replayed');
    assert.equal(exit, 0);
    assert.match(out, /^10 records were sent again to .*replayed\.jsonl and acknowledged\.\n$/);
    assert.equal(
      readFileSync(join(directory, 'replayed.jsonl'), 'utf8'),
      first.bodies.map((body) => `${body}\n`).join(''),
    );
  });

  test('does not try again what is refused', async (context) => {
    const receiver = await startOtlpReceiver();
    context.after(() => receiver.close());
    receiver.answerWith(() => ({ status: 400 }));
    const waits: number[] = [];
    const { exit } = await replay(
      ['--spool', 'spool', ...range(1, 10), '--endpoint', `${receiver.url}/v1/logs`],
      waits,
    );
    assert.deepEqual([exit, waits], [1, []]);
  });

  test('says what is not in the spool any more, and where else to look', async (context) => {
    const receiver = await startOtlpReceiver();
    context.after(() => receiver.close());
    const to = ['--spool', 'spool', '--endpoint', `${receiver.url}/v1/logs`];
    const some = await replay([...range(9, 12), ...to]);
    assert.deepEqual([some.exit, receiver.logs().length], [1, 2]);
    assert.match(some.out, /^2 records were sent again/);
    assert.match(
      some.err,
      /: 11 to 12 are not in the spool\nWhat is not there cannot be sent: .*spool\.keep/s,
    );
    const gone = await replay(['--stream', streamId(9), '--from', '1', '--to', '2', ...to]);
    assert.deepEqual([gone.exit, receiver.requests.length], [1, 1]);
    assert.match(gone.out, /^Nothing was sent to /);
    assert.match(gone.err, /spool holds no stream 019aaaaa-0000-7000-8000-000000000009\nWhat is not there/);
  });

  test('sends at most so many records at once', async (context) => {
    const receiver = await startOtlpReceiver();
    context.after(() => receiver.close());
    const long = new Scene(1).calls(BATCH_RECORDS_MAX + 1);
    writeSpool(join(directory, 'long'), long);
    const to = BATCH_RECORDS_MAX + 1;
    const { exit } = await replay([
      '--spool',
      'long',
      ...range(1, to),
      '--endpoint',
      `${receiver.url}/v1/logs`,
    ]);
    assert.deepEqual([exit, receiver.requests.length, receiver.logs().length], [0, 2, to]);
  });
});

describe('records repair', () => {
  test('finds nothing in a good spool, and makes nothing', async () => {
    const { exit, out } = await records(directory, ['repair', '--spool', 'spool']);
    assert.deepEqual([exit, out], [0, '2 streams, no damage.\n']);
    assert.ok(!existsSync(join(directory, 'damaged')));
  });

  test('names damage, copies its bytes aside once, and changes nothing', async () => {
    const path = writeSpool(join(directory, 'bad'), wholeStream(4), { cuts: [6] })[0] ?? '';
    const bytes = readFileSync(path);
    const at = bytes.indexOf('tool-3');
    bytes[at] = 0x54;
    writeFileSync(path, bytes);
    const before = statSync(path).mtimeMs;
    const copied = new Set<number>();
    for (let run = 0; run < 2; run += 1) {
      const { exit, out } = await records(directory, ['repair', '--spool', 'bad', '--aside', 'kept']);
      assert.equal(exit, 1);
      assert.match(out, /bytes \d+ to \d+ are damaged \(copied to .*kept\/019aaaaa-.*\.bin\)/);
      assert.match(out, /: 3: missing, and nothing explains it\n1 streams, 2 damages/);
      for (const name of readdirSync(join(directory, 'kept')))
        copied.add(statSync(join(directory, 'kept', name)).ino);
    }
    assert.equal(copied.size, 1, 'the copy of the first run is left as it is');
    const [copy = '', ...more] = readdirSync(join(directory, 'kept'));
    assert.deepEqual(more, []);
    assert.ok(readFileSync(join(directory, 'kept', copy)).includes('Tool-3'));
    assert.equal(statSync(join(directory, 'kept', copy)).mode & 0o777, 0o600);
    assert.deepEqual([readFileSync(path).equals(bytes), statSync(path).mtimeMs], [true, before]);
  });

  test('calls no damage what a crash left, what retention freed, or a stream without an end', async () => {
    const scene = new Scene(5).start().calls(5);
    const paths = writeSpool(join(directory, 'young'), scene, { cuts: [4], sealed: false });
    rmSync(paths[0] ?? '');
    appendFileSync(paths[1] ?? '', '{"event.name":"verd');
    const { exit } = await records(directory, ['repair', '--spool', 'young']);
    assert.equal(exit, 0);
  });
});
