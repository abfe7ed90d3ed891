/** kill -9 of the proxy and of the collector, at random moments, again and again: nothing is missing, nothing invented. */
import assert from 'node:assert/strict';
import { readdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { runCli } from '../support/cli.ts';
import { eventually, startCollector } from '../support/collector.ts';
import { createService, startCallers, startUpstream } from '../support/crash-scene.ts';
import { announcedKeys, assertAccounted, readDelivered } from '../support/delivered.ts';
import { killAgainAndAgain, TWICE_FROM_CYCLES } from '../support/kill-cycles.ts';
import { seededRandom } from '../support/simulated-files.ts';

/** The long lane sets MCP_VERDICT_CRASH_CYCLES=2000. */
const CYCLES = Number(process.env['MCP_VERDICT_CRASH_CYCLES'] ?? 16);
const CYCLE_TIMEOUT_MS = 20_000;
/** Each cycle leaves a stream, and they are adopted some at a time. */
const STREAM_TIMEOUT_MS = 300;
const CALLERS = 8;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-kill-'));
after(() => rmSync(root, { recursive: true, force: true }));

test(
  `${CYCLES} times kill -9 lose no record of a call that was made, and invent none`,
  { skip: skipWithoutCollector(), timeout: 60_000 + CYCLES * CYCLE_TIMEOUT_MS },
  async (t) => {
    const seed = Number(process.env['MCP_VERDICT_CRASH_SEED'] ?? Date.now() % 2 ** 31);
    t.diagnostic(`MCP_VERDICT_CRASH_SEED=${seed}`);
    const random = seededRandom(seed);
    const upstream = await startUpstream(() => random(20));
    t.after(upstream.close);
    const dir = join(root, 'collector');
    let collector = await startCollector({ dir });
    t.after(() => collector.kill());
    const service = await createService({
      directory: join(root, 'proxy'),
      upstreamPort: upstream.port,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.httpEndpoint },
    });
    await service.start();
    t.after(service.kill);
    await service.stop();
    await service.start();
    const callers = startCallers(service.url, CALLERS, 5);
    t.after(callers.stop);

    const restartDestination = async (): Promise<void> => {
      await collector.kill();
      await wait(random(200));
      collector = await startCollector({ dir, ports: collector.ports });
    };
    const restarts = await killAgainAndAgain({
      cycles: CYCLES,
      random,
      service,
      received: () => logBytes(dir),
      restartDestination,
    });
    await callers.stop();
    // What died is adopted, the rest drains.
    const { reached } = upstream;
    await collector.waitFor(
      ({ logs }) => {
        const { decisions } = readDelivered(logs);
        return [...reached.keys()].every((id) => decisions.has(id));
      },
      { what: 'the decisions of all calls', timeoutMs: 30_000 + CYCLES * STREAM_TIMEOUT_MS },
    );
    const { code, stderr } = await service.stop();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /all delivered\n$/);
    await eventually(() => (collector.logs().length > 0 ? true : undefined));
    await collector.stop();

    const delivered = readDelivered(collector.logs());
    t.diagnostic(
      `${reached.size} calls, ${delivered.records.size} records, ${delivered.duplicates} duplicates, ` +
        `${CYCLES} kills of the proxy, ${restarts} of the collector`,
    );
    assertAccounted(delivered, reached);
    assert.ok(reached.size > CYCLES, 'calls were made');
    if (CYCLES >= TWICE_FROM_CYCLES)
      assert.ok(delivered.duplicates > 0, 'nothing came twice: no kill fell between delivery and its note');
    assert.ok(restarts > 0);
    const keys = announcedKeys(delivered);
    assert.equal(keys.length, 1, 'one signing key over all starts');
    const files = logFiles(dir).map((name) => join(dir, 'records', name));
    const verified = await runCli(['records', 'verify', ...files, '--key', keys[0] ?? '']);
    assert.equal(verified.code, 0, `${verified.stdout}${verified.stderr}`);
  },
);

function logFiles(dir: string): string[] {
  return readdirSync(join(dir, 'records')).filter((name) => name.startsWith('logs'));
}

function logBytes(dir: string): number {
  return logFiles(dir).reduce((sum, name) => sum + statSync(join(dir, 'records', name)).size, 0);
}
