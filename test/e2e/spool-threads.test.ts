/** The spool as one thing, on a real disk and with its real threads. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createEventClock } from '../../src/event/clock.ts';
import { loadSigningKey } from '../../src/event/signing.ts';
import { adoptionText } from '../../src/event/verify.ts';
import { ARRAY_ITEMS_MAX, SEVERITY, type Fields } from '../../src/event/vocabulary.ts';
import type { Spool, SpoolOptions } from '../../src/export/spool-options.ts';
import { openSpool } from '../../src/export/spool.ts';
import { hear } from '../telemetry/heard.ts';
import { ADOPTED_MAX } from '../../src/spool/keeper.ts';
import { nodeFiles } from '../../src/spool/node-files.ts';
import { eventually } from '../support/eventually.ts';
import { fillStream } from '../bench/fill.ts';
import { IDENTITY, linesAt } from '../support/spooled.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-spool-'));
/** Stopped at the end, whatever became of their tests: the threads of one that has failed would keep the run from ending. */
const opened: Spool[] = [];
after(async () => {
  await Promise.allSettled(opened.map((spool) => spool.stop(0)));
  rmSync(root, { recursive: true, force: true });
});
const signing = loadSigningKey({ directory: join(root, 'keys'), env: {} });
const service = { name: 'mcp-verdict', instanceId: 'i', version: '1' };

async function open(
  directory: string,
  diagnostics = hear().diagnostics,
  rest: Partial<SpoolOptions> = {},
): Promise<Spool> {
  const spool = await openSpool({
    directory,
    durability: 'sync',
    keepMs: 3_600_000,
    bytesMax: 2 ** 30,
    identity: IDENTITY,
    service,
    exporters: [],
    signing,
    clock: createEventClock(),
    diagnostics,
    ...rest,
  });
  opened.push(spool);
  return spool;
}

function start(spool: Spool): string {
  const fields: Fields = { 'verdict.lifecycle.state': 'start', 'verdict.lifecycle.adopted': spool.adopted };
  return spool.record({ name: 'verdict.lifecycle', severity: SEVERITY.info, fields });
}

function allow(spool: Spool): string {
  const fields: Fields = { 'verdict.decision.effect': 'allow', 'jsonrpc.request.id': '1' };
  return spool.record({ name: 'verdict.decision', severity: SEVERITY.info, fields });
}

/** Open files of this process. */
function handles(): number {
  return readdirSync('/proc/self/fd').length;
}

type Body = Readonly<Record<string, unknown>>;

/** Of all streams, oldest first. */
function bodiesIn(directory: string): Body[] {
  return nodeFiles
    .list(directory)
    .flatMap((stream) => nodeFiles.list(join(directory, stream)).map((name) => join(directory, stream, name)))
    .filter((path) => /\d\.log$/.test(path))
    .flatMap((path) => linesAt(nodeFiles, path))
    .filter(({ json }) => !json.startsWith('{"verdict.se'))
    .map(({ json }) => JSON.parse(json) as Body);
}

/** What records say of where streams ended. */
function namedIn(directory: string): string[] {
  return bodiesIn(directory).flatMap((body) => (body['verdict.lifecycle.adopted'] ?? []) as string[]);
}

/** What kill -9 would leave now. */
function crashed(directory: string): string {
  const copy = join(mkdtempSync(join(root, 'crashed-')), 'spool');
  mkdirSync(copy, { mode: 0o700 });
  cpSync(directory, copy, { recursive: true });
  return copy;
}

describe('the spool', () => {
  test('a record is on the disk when it is said to be, and a stop signs and seals', async () => {
    const directory = join(root, 'plain');
    const spool = await open(directory);
    await spool.recorded(start(spool));
    assert.equal(bodiesIn(directory).length, 1);
    assert.equal(spool.position().sequence, 1);
    assert.equal(spool.status().healthy, true);
    assert.deepEqual(await spool.stop(1000), { waiting: 0, exporters: {} });
    assert.deepEqual(
      bodiesIn(directory).map((body) => body['event.name']),
      ['verdict.lifecycle', 'verdict.checkpoint'],
    );
    assert.deepEqual(spool.status().writer, { committed: 2, refused: 0, lost: 0 });
    await assert.rejects(spool.recorded(start(spool)), { code: 'audit_unavailable' });
  });

  test('a directory that cannot be used is said to whoever opens it, and nothing runs on behind', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    await assert.rejects(open(file));
    const { diagnostics, lines } = hear();
    await assert.rejects(open(join(file, 'spool'), diagnostics));
    assert.deepEqual(lines, []);
  });

  test('a call whose proxy was killed gets one outcome, although the first adopter is killed too', async () => {
    const live = join(root, 'killed');
    const victim = await open(live);
    await victim.recorded(start(victim));
    const decision = allow(victim);
    await victim.recorded(decision);
    const directory = crashed(live);
    await victim.stop(0);

    const first = await open(directory);
    assert.equal(first.adopted.length, 1);
    // It has recorded the outcome, and dies before it says whom it adopted, so before it leaves its mark.
    await first.settled();
    const again = crashed(directory);
    await first.stop(0);
    const second = await open(again);
    assert.equal(second.adopted.length, 2);
    await second.recorded(start(second));
    await second.stop(0);
    const outcomes = bodiesIn(again).filter((body) => body['event.name'] === 'verdict.outcome');
    assert.deepEqual(
      outcomes.map((body) => [body['verdict.decision.uid'], body['verdict.outcome.status']]),
      [[decision, 'unknown']],
    );
    const uids = bodiesIn(again).map((body) => body['log.record.uid']);
    assert.equal(new Set(uids).size, uids.length, 'no two records share a uid');

    const third = await open(again);
    assert.equal(third.adopted.length, 1, 'what is marked is not adopted again');
    await third.stop(0);
  });

  test('when the disk is taken away calls are refused, and what happened is on record afterwards', async () => {
    const directory = join(root, 'away');
    const { diagnostics, text } = hear();
    const spool = await open(directory, diagnostics);
    await spool.recorded(start(spool));
    const { stream, sequence } = spool.position();
    renameSync(directory, `${directory}.moved`);
    writeFileSync(directory, '');
    for (let count = 0; count < 3; count += 1) {
      await assert.rejects(spool.recorded(allow(spool)), { code: 'audit_unavailable' });
    }
    assert.equal(spool.status().healthy, false);
    assert.match(text(), /the spool refuses records/);
    unlinkSync(directory);
    renameSync(`${directory}.moved`, directory);
    // Once a second a stream is begun anew.
    for (;;) {
      const done = await spool.recorded(allow(spool)).then(
        () => true,
        () => false,
      );
      if (done) break;
    }
    await spool.stop(1000);
    assert.match(text(), /the spool takes records again/);
    const bodies = bodiesIn(directory);
    const restored = bodies.find((body) => body['verdict.lifecycle.state'] === 'audit_restored');
    assert.ok(Number(restored?.['verdict.lifecycle.refused']) >= 3);
    const checkpoints = bodies.filter((body) => body['event.name'] === 'verdict.checkpoint');
    assert.ok(
      checkpoints.some(
        (body) =>
          body['verdict.checkpoint.stream'] === stream && body['verdict.checkpoint.sequence'] === sequence,
      ),
      'the end of the stream that was given up is signed',
    );
    assert.equal(spool.status().writer.lost, 0);
  });

  test('over its size, calls are refused, and what it must still say is taken', async () => {
    const directory = join(root, 'large');
    const bytesMax = 2 ** 20;
    fillStream(directory, 1000);
    const { diagnostics, text } = hear();
    // Nobody listens there.
    const endpoint = { url: 'http://127.0.0.1:1/v1/logs' };
    const exporters = [{ name: 'otlp', kind: 'otlp', required: true, endpoint }] as const;
    const spool = await open(directory, diagnostics, { bytesMax, exporters });
    assert.equal(spool.status().size.full, true);
    assert.match(text(), /calls are refused: the spool is as large as it may be \(1048576 bytes\)/);
    await assert.rejects(spool.recorded(allow(spool)), { code: 'audit_unavailable' });
    await spool.recorded(start(spool));
    const fields: Fields = { 'verdict.decision.uid': 'of a call before', 'verdict.outcome.status': 'ok' };
    await spool.recorded(spool.record({ name: 'verdict.outcome', severity: SEVERITY.info, fields }));
    assert.equal(spool.status().writer.refused, 1);
    await spool.stop(0);
    assert.equal(spool.status().writer.lost, 0);
    const decisions = bodiesIn(directory).filter((body) => body['verdict.decision.effect'] === 'allow');
    assert.deepEqual(decisions, [], 'a refused call is not recorded');
  });

  test('where no exporter is required, the oldest goes instead, and that is on record', async () => {
    const directory = join(root, 'best-effort');
    fillStream(directory, 1000);
    const spool = await open(directory, hear().diagnostics, { bytesMax: 2 ** 20 });
    assert.equal(spool.status().size.full, false);
    await spool.recorded(allow(spool));
    await spool.stop(0);
    const gaps = bodiesIn(directory).filter((body) => body['event.name'] === 'verdict.gap');
    assert.deepEqual(
      gaps.map((body) => [body['verdict.gap.reason'], body['verdict.gap.from'], body['verdict.gap.to']]),
      [['retention', 1, 1000]],
    );
  });

  test('many kept streams of dead processes are adopted in turn, and cost no file handle when that is done', async () => {
    const directory = join(root, 'many');
    for (let index = 0; index < ADOPTED_MAX + 8; index += 1) fillStream(directory, 1);
    const before = handles();
    const spool = await open(directory);
    assert.equal(spool.adopted.length, ARRAY_ITEMS_MAX, 'as many as one record names');
    await spool.recorded(start(spool));
    await eventually('the others are adopted', () => namedIn(directory).length === ADOPTED_MAX + 8);
    assert.equal(new Set(namedIn(directory)).size, ADOPTED_MAX + 8, 'each once');
    await spool.settled();
    // Of the threads, and of the stream that is written.
    const own = 24;
    await eventually('the handles are closed', () => handles() <= before + own);
    await spool.stop(0);

    const again = await open(directory);
    assert.deepEqual(again.adopted, [adoptionText(spool.position())], 'what was settled is left alone');
    await again.stop(0);
  });

  test('who dies before its start is on record has taken over only what it has named', async () => {
    const directory = join(root, 'unnamed');
    const dead = ARRAY_ITEMS_MAX + 1;
    for (let index = 0; index < dead; index += 1) fillStream(directory, 1);
    const spool = await open(directory);
    await eventually('the last one is named', () => namedIn(directory).length === 1);
    await spool.recorded(allow(spool));
    const left = crashed(directory);
    await spool.stop(0);

    const next = await open(left);
    await next.recorded(start(next));
    await next.settled();
    assert.equal(new Set(namedIn(left)).size, dead + 1, 'with the one that has died in between');
    await next.stop(0);
  });

  test('what cannot be written at the end is counted as lost', async () => {
    const directory = join(root, 'gone');
    const spool = await open(directory);
    await spool.recorded(start(spool));
    rmSync(directory, { recursive: true });
    writeFileSync(directory, '');
    start(spool);
    await spool.stop(0);
    assert.ok(spool.status().writer.lost >= 1);
  });
});
