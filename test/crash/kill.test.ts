/** kill -9 of the proxy and of the collector, at random moments, again and again: nothing is missing, nothing invented. */
import assert from 'node:assert/strict';
import { readdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { runCli } from '../support/cli.ts';
import { eventually, startCollector, type Collector } from '../support/collector.ts';
import { createService, startCallers, startUpstream } from '../support/crash-scene.ts';
import { announcedKeys, assertAccounted, readDelivered } from '../support/delivered.ts';
import { seededRandom } from '../support/simulated-files.ts';

/** The long lane sets MCP_VERDICT_CRASH_CYCLES=2000. */
const CYCLES = Number(process.env['MCP_VERDICT_CRASH_CYCLES'] ?? 60);
const CYCLE_TIMEOUT_MS = 20_000;
const CALLERS = 8;
/** How long a proxy lives at most before it is killed. */
const LIFE_MS_MAX = 500;
/** One collector dies for so many proxies. */
const COLLECTOR_EVERY = 4;

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

    const starts = { proxy: 2, collector: 1 };
    const restartCollector = async (): Promise<Collector> => {
      await collector.kill();
      await wait(random(200));
      starts.collector += 1;
      return await startCollector({ dir, ports: collector.ports });
    };
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      const restarted = cycle % COLLECTOR_EVERY === 0 ? restartCollector() : undefined;
      // Now and then right after something was delivered: what is acknowledged and not noted comes twice.
      if (cycle % COLLECTOR_EVERY === 2) await growth(dir, LIFE_MS_MAX);
      else await wait(random(LIFE_MS_MAX));
      await service.kill();
      await service.start();
      starts.proxy += 1;
      if (restarted !== undefined) collector = await restarted;
    }
    await callers.stop();
    // What died is adopted, the rest drains.
    const { reached } = upstream;
    await collector.waitFor(
      ({ logs }) => {
        const { decisions } = readDelivered(logs);
        return [...reached.keys()].every((id) => decisions.has(id));
      },
      { what: 'the decisions of all calls', timeoutMs: 30_000 },
    );
    const { code, stderr } = await service.stop();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /all delivered\n$/);
    await eventually(() => (collector.logs().length > 0 ? true : undefined));
    await collector.stop();

    const delivered = readDelivered(collector.logs());
    t.diagnostic(
      `${reached.size} calls, ${delivered.records.size} records, ${delivered.duplicates} duplicates, ` +
        `${starts.proxy} proxies, ${starts.collector} collectors`,
    );
    assertAccounted(delivered, reached);
    assert.ok(reached.size > CYCLES, 'calls were made');
    assert.ok(delivered.duplicates > 0, 'nothing came twice: no kill fell between delivery and its note');
    assert.equal(starts.proxy, CYCLES + 2);
    assert.ok(starts.collector > 1);
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

/** Resolves when the collector has written something, or after the time. */
async function growth(dir: string, timeoutMs: number): Promise<void> {
  const size = (): number =>
    logFiles(dir).reduce((sum, name) => sum + statSync(join(dir, 'records', name)).size, 0);
  const before = size();
  const end = performance.now() + timeoutMs;
  while (size() === before && performance.now() < end) await wait(2);
}
