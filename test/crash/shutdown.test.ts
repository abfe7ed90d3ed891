/** SIGTERM while nobody takes the records: in good order, in time, and nothing is gone. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { callOnce, createService, startUpstream } from '../support/crash-scene.ts';
import { freePort } from '../support/free-port.ts';
import { assertAccounted, readDelivered } from '../support/delivered.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../support/otlp-receiver.ts';

const CALLS = 50;
const SHUTDOWN_TIMEOUT_MS = 3000;
/** From the deadline to the end of the process: sealing the stream, ending the threads, a busy machine. */
const GRACE_MS = 10_000;
const TIMEOUT_MS = 60_000;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-shutdown-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Outage {
  readonly what: string;
  /** Where the collector should be. */
  readonly endpoint: (receiver: OtlpReceiver) => Promise<string>;
}

const OUTAGES: readonly Outage[] = [
  { what: 'down', endpoint: async () => `http://127.0.0.1:${await freePort()}` },
  {
    what: 'hanging',
    async endpoint(receiver) {
      receiver.answerWith(() => ({ hang: true }));
      return receiver.url;
    },
  },
  {
    what: 'refusing everything',
    async endpoint(receiver) {
      receiver.answerWith(() => ({ status: 503 }));
      return receiver.url;
    },
  },
];

describe('SIGTERM', () => {
  for (const { what, endpoint } of OUTAGES) {
    test(
      `with the collector ${what}: ends with 0 in time, says how many wait, and the next start delivers them`,
      { timeout: TIMEOUT_MS },
      async (t) => {
        const upstream = await startUpstream();
        t.after(upstream.close);
        const directory = mkdtempSync(join(root, 'service-'));
        const [away, collector] = [await startOtlpReceiver(), await startOtlpReceiver()];
        t.after(away.close);
        t.after(collector.close);
        const scene = {
          directory,
          upstreamPort: upstream.port,
          shutdownTimeout: `${SHUTDOWN_TIMEOUT_MS / 1000}s`,
        };
        const first = await createService({
          ...scene,
          env: { OTEL_EXPORTER_OTLP_ENDPOINT: await endpoint(away) },
        });
        await first.start();
        t.after(first.kill);
        const agent = new Agent({ keepAlive: true });
        const calls = Array.from({ length: CALLS }, () => callOnce(first.url, agent));
        for (const { status } of await Promise.all(calls)) assert.equal(status, 200);
        agent.destroy();
        const begun = performance.now();
        const { code, stderr } = await first.stop();
        const tookMs = Math.round(performance.now() - begun);
        t.diagnostic(`ended after ${tookMs} ms`);
        assert.equal(code, 0, stderr);
        assert.ok(tookMs < SHUTDOWN_TIMEOUT_MS + GRACE_MS, `it took ${tookMs} ms`);
        const [, durable, waiting] =
          /(\d+) records are durable, (\d+) wait in the spool, which is /.exec(stderr) ?? assert.fail(stderr);
        // Start, stop, a decision and an outcome of each call, and the last checkpoint.
        assert.ok(Number(durable) >= 2 * CALLS + 3);
        assert.equal(waiting, durable, 'nothing was delivered, so all of them wait');
        assert.doesNotMatch(stderr, /LOST/);

        const second = await createService({ ...scene, env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
        await second.start();
        t.after(second.kill);
        const again = await second.stop();
        assert.equal(again.code, 0, again.stderr);
        assert.match(again.stderr, /all delivered\n$/);
        const delivered = readDelivered(collector.logs());
        assertAccounted(delivered, upstream.reached);
        assert.equal(upstream.reached.size, CALLS);
      },
    );
  }
});
