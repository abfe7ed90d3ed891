/**
 * kill -9 of the proxy while it writes to a file that it rotates and gzips, and to an HTTP receiver that dies too:
 * each of the two holds every record of a call that was made, and invents none.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { runCli } from '../support/cli.ts';
import { createService, startCallers, startUpstream } from '../support/crash-scene.ts';
import { announcedKeys, assertAccounted, readDelivered, type DeliveredLog } from '../support/delivered.ts';
import { eventually } from '../support/eventually.ts';
import { killAgainAndAgain, TWICE_FROM_CYCLES } from '../support/kill-cycles.ts';
import { startLineReceiver } from '../support/line-receiver.ts';
import { seededRandom } from '../support/simulated-files.ts';

/** The long lane sets it. */
const CYCLES = Number(process.env['MCP_VERDICT_CRASH_CYCLES'] ?? 6);
const CYCLE_TIMEOUT_MS = 20_000;
const CALLERS = 8;
/** Of a file that is rotated at 64 KiB: a few kills on a busy machine leave no time for more. */
const SOON_ROTATED_BYTES = 56 * 1024;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-kill-direct-'));
after(() => rmSync(root, { recursive: true, force: true }));

test(
  `${CYCLES} times kill -9 lose nothing on the way to a file and to an HTTP receiver`,
  { timeout: 60_000 + CYCLES * CYCLE_TIMEOUT_MS },
  async (t) => {
    const seed = Number(process.env['MCP_VERDICT_CRASH_SEED'] ?? Date.now() % 2 ** 31);
    t.diagnostic(`MCP_VERDICT_CRASH_SEED=${seed}`);
    const random = seededRandom(seed);
    const upstream = await startUpstream(() => random(20));
    t.after(upstream.close);
    const receiver = await startLineReceiver();
    t.after(receiver.close);
    const directory = join(root, 'proxy');
    const service = await createService({
      directory,
      upstreamPort: upstream.port,
      more:
        'exporters:\n  file: {path: decisions.jsonl, rotate: {max_bytes: 64KiB}}\n' +
        `  http: {url: "${receiver.url}", batch: lines}\n`,
    });
    await service.start();
    t.after(service.kill);
    const callers = startCallers(service.url, CALLERS, 5);
    t.after(callers.stop);

    await eventually('a file that is soon full', () => fileBytes(directory) > SOON_ROTATED_BYTES, 30_000);
    const restarts = await killAgainAndAgain({
      cycles: CYCLES,
      random,
      service,
      received: () => receiver.lines.length + fileBytes(directory),
      async restartDestination() {
        await receiver.stop();
        await wait(random(200));
        await receiver.start();
      },
    });
    await callers.stop();
    const { reached } = upstream;
    const hasAll = (lines: readonly string[]): boolean => {
      const { decisions } = readDelivered(lines.map(logOf));
      return [...reached.keys()].every((id) => decisions.has(id));
    };
    await eventually('the file has all', () => hasAll(fileLines(directory)), 30_000);
    await eventually('the receiver has all', () => hasAll(receiver.lines), 30_000);
    const { code, stderr } = await service.stop();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /all delivered\n$/);
    assert.ok(restarts > 0);
    assert.ok(reached.size > CYCLES, 'calls were made');

    const posted = join(root, 'posted.jsonl');
    writeFileSync(posted, receiver.lines.map((line) => `${line}\n`).join(''));
    const destinations = [
      ['file', fileLines(directory), logFiles(directory).map((name) => join(directory, name))],
      ['http', receiver.lines, [posted]],
    ] as const;
    let duplicates = 0;
    for (const [name, lines, files] of destinations) {
      const delivered = readDelivered(lines.map(logOf));
      t.diagnostic(
        `${name}: ${reached.size} calls, ${delivered.records.size} records, ${delivered.duplicates} duplicates, ` +
          `${files.length} files, ${CYCLES} kills of the proxy, ${restarts} of the receiver`,
      );
      duplicates += delivered.duplicates;
      assertAccounted(delivered, reached);
      const [key = '', ...others] = announcedKeys(delivered);
      assert.deepEqual(others, [], 'one signing key over all starts');
      const verified = await runCli(['records', 'verify', ...files, '--key', key]);
      assert.equal(verified.code, 0, `${name}: ${verified.stdout}${verified.stderr}`);
    }
    if (CYCLES >= TWICE_FROM_CYCLES)
      assert.ok(duplicates > 0, 'nothing came twice: no kill fell between delivery and its note');
    assert.ok(
      logFiles(directory).some((name) => name.endsWith('.gz')),
      'nothing was rotated',
    );
  },
);

function logFiles(directory: string): string[] {
  return readdirSync(directory).filter((name) => /^decisions.*\.jsonl(\.gz)?$/.test(name));
}

function fileBytes(directory: string): number {
  const path = join(directory, 'decisions.jsonl');
  return existsSync(path) ? statSync(path).size : 0;
}

/** Lines with an end, for others were acknowledged to nobody. While it runs, a file may be gone again: then nothing. */
function fileLines(directory: string): string[] {
  return logFiles(directory).flatMap((name) => {
    const bytes = readIfThere(join(directory, name));
    const text = (name.endsWith('.gz') && bytes.length > 0 ? gunzipSync(bytes) : bytes).toString();
    return text.split('\n').slice(0, -1);
  });
}

function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

function logOf(body: string): DeliveredLog {
  const attributes = JSON.parse(body) as Record<string, unknown>;
  return { attributes, body, eventName: String(attributes['event.name']) };
}
