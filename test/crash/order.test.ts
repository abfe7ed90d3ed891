/** Under a system-call trace: each write of a call to the upstream follows the sync that covers its record. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { callOnce, createService, startUpstream } from '../support/crash-scene.ts';
import { readTrace, type SystemCall } from '../support/system-trace.ts';

const CALLS_AT_ONCE = 8;
const ROUNDS = 6;
const TIMEOUT_MS = 120_000;
const CALLS = 'fdatasync,fsync,pwrite64,pwritev,write,writev,sendto,sendmsg';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-order-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** With CI=true nothing is skipped: then the test fails where there is no strace. */
const skip =
  process.env['CI'] !== 'true' && spawnSync('strace', ['-V']).status !== 0 && 'strace is not installed';

/** Makes calls through a traced proxy. @returns ids that were forwarded, and those of them that were not on the disk by then */
async function trace(
  durability: 'sync' | 'os' | 'none',
): Promise<{ readonly forwarded: string[]; readonly early: string[] }> {
  const directory = mkdtempSync(join(root, `${durability}-`));
  const file = join(directory, 'trace');
  const upstream = await startUpstream();
  const strace = ['strace', '-D', '-f', '-yy', '-s', '1000000', '-o', file, '-e', `trace=${CALLS}`];
  const service = await createService({
    directory,
    upstreamPort: upstream.port,
    durability,
    before: strace,
    // Their requests would only make the trace longer.
    env: { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' },
  });
  const agent = new Agent({ keepAlive: true });
  try {
    await service.start();
    for (let round = 0; round < ROUNDS; round += 1) {
      const made = Array.from({ length: CALLS_AT_ONCE }, (_, index) => `call-${round}x${index}-`);
      const answers = await Promise.all(made.map((id) => callOnce(service.url, agent, id)));
      for (const { status, text } of answers) assert.equal(status, 200, text);
    }
    agent.destroy();
    assert.equal((await service.stop()).code, 0);
  } finally {
    agent.destroy();
    await service.kill();
    await upstream.close();
  }
  const calls = readTrace(readFileSync(file, 'latin1'));
  const port = `->127.0.0.1:${upstream.port}]`;
  const forwarded = [...upstream.reached.keys()];
  return { forwarded, early: forwarded.filter((id) => !isDurableBefore(calls, id, port)) };
}

function isDurableBefore(calls: readonly SystemCall[], id: string, port: string): boolean {
  const sent = calls.find(({ target, text }) => target.includes(port) && text.includes(id));
  assert.ok(sent !== undefined, `no write of ${id} to the upstream is in the trace`);
  const record = calls.find(({ target, text }) => /spool\/.*\.log$/.test(target) && text.includes(id));
  if (record === undefined) return false;
  return calls.some(
    ({ name, target, result, begun, ended }) =>
      (name === 'fdatasync' || name === 'fsync') &&
      target === record.target &&
      result === 0 &&
      begun > record.ended &&
      ended < sent.begun,
  );
}

describe('the order of system calls', { skip }, () => {
  test(
    'with durability sync no call is sent before its record is synced',
    { timeout: TIMEOUT_MS },
    async () => {
      const { forwarded, early } = await trace('sync');
      assert.equal(forwarded.length, CALLS_AT_ONCE * ROUNDS);
      assert.deepEqual(early, []);
    },
  );

  for (const durability of ['os', 'none'] as const) {
    test(
      `with durability ${durability} the same check fails: it bites`,
      { timeout: TIMEOUT_MS },
      async () => {
        const { forwarded, early } = await trace(durability);
        assert.deepEqual(early, forwarded);
      },
    );
  }
});
