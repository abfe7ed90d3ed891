/**
 * The collector is down while very many records are written, the proxy dies, and both come back. Minutes long:
 * `npm run test:long`. MCP_VERDICT_LONG_RECORDS sets another number of records.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nodeFiles } from '../../src/spool/node-files.ts';
import { recoverStream } from '../../src/spool/recovery.ts';
import { createHttpClient } from '../bench/http-client.ts';
import { megabytes, memoryOf } from '../bench/memory.ts';
import { startProgram, startProxy } from '../bench/programs.ts';
import { readReceived, received } from '../bench/received.ts';
import { freePort } from '../support/free-port.ts';

const RECORDS = Number(process.env['MCP_VERDICT_LONG_RECORDS'] ?? 1_000_000);
/** A decision and an outcome. */
const RECORDS_OF_CALL = 2;
const CALLERS = 64;
/** Until then memory grows to what the work takes; a run of fewer records says nothing of it. */
const SETTLED_RECORDS = 100_000;
/** Memory may move by so much from there on, however many records there are. */
const FLAT_BYTES = 96 * 1024 * 1024;
const QUIET_MS = 60_000;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-outage-'));
after(() => rmSync(root, { recursive: true, force: true }));

test(
  `${RECORDS} records wait for a collector that is down, outlive the proxy, and arrive in order; memory stays flat`,
  { skip: process.platform === 'linux' ? false : 'memory is read from /proc', timeout: 3_600_000 },
  async (t) => {
    const upstream = await startProgram('upstream');
    t.after(() => upstream.stop());
    const otlpPort = await freePort();
    const options = { directory: root, durability: 'sync', upstream: upstream.port, otlpPort } as const;
    const before = await startProxy(options);
    t.after(() => before.stop('SIGKILL'));
    const written = watchMemory(before.child.pid);
    await makeCalls(before.url, Math.ceil(RECORDS / RECORDS_OF_CALL), written.look);
    await before.stop('SIGKILL');
    t.diagnostic(`written: ${written.say()}`);

    const spool = join(root, 'spool');
    const [stream = '', ...others] = readdirSync(spool).filter((name) => /^[0-9a-f-]{36}$/.test(name));
    assert.deepEqual(others, [], 'one proxy, one stream');
    const { end } = recoverStream(nodeFiles, spool, stream, []);
    // The last outcomes may not have been written: nobody waits for those.
    assert.ok(end.sequence > RECORDS - CALLERS, `${end.sequence} records are durable`);

    const receiver = await startProgram('receiver', String(otlpPort));
    t.after(() => receiver.stop());
    const startMs = Date.now();
    const next = await startProxy(options);
    t.after(() => next.stop('SIGKILL'));
    const servingMs = Date.now() - startMs;
    const drained = watchMemory(next.child.pid);
    await received(
      otlpPort,
      (heard) => {
        const { last = 0 } = heard.streams[stream] ?? {};
        drained.look(last / end.sequence);
        return last >= end.sequence;
      },
      QUIET_MS,
    );
    const { code } = await next.stop();
    const { streams, firstMs = 0, lastMs = 0 } = await readReceived(otlpPort);
    t.diagnostic(`drained: ${drained.say()}`);
    t.diagnostic(
      `start to serving ${servingMs} ms, to the first record ${firstMs - startMs} ms, ` +
        `${Math.round((end.sequence / (lastMs - firstMs)) * 1000)} records/s`,
    );

    assert.equal(code, 0, next.stderr());
    assert.match(next.stderr(), /all delivered\n$/);
    for (const [id, { last, records, repeated, skipped }] of Object.entries(streams)) {
      assert.equal(skipped, 0, `${id}: places that were passed over`);
      assert.equal(records - repeated, last, `${id}: each place has come`);
    }
    assert.equal(streams[stream]?.last, end.sequence, 'to the last one');
    assert.ok(written.growth() < FLAT_BYTES, `while written: ${written.say()}`);
    assert.ok(drained.growth() < FLAT_BYTES, `while drained: ${drained.say()}`);
  },
);

/** @param look is told what share has been made, now and then */
async function makeCalls(url: string, calls: number, look: (share: number) => void): Promise<void> {
  const client = createHttpClient(url);
  let begun = 0;
  const run = async (): Promise<void> => {
    while (begun < calls) {
      begun += 1;
      if (begun % 1000 === 0) look(begun / calls);
      await client.call();
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, run));
  client.close();
}

/** How a process's memory moves once it has settled. */
function watchMemory(pid: number | undefined) {
  let settled: number | undefined;
  let most = 0;
  return {
    look: (share: number): void => {
      if (share * RECORDS < SETTLED_RECORDS) return;
      const { nowBytes } = memoryOf(pid);
      settled ??= nowBytes;
      most = Math.max(most, nowBytes);
    },
    growth: () => most - (settled ?? most),
    say: () => `${megabytes(settled ?? 0)} after ${SETTLED_RECORDS} records, at most ${megabytes(most)}`,
  };
}
