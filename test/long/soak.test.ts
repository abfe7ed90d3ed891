/**
 * Clients that come and go, behave and misbehave, for half an hour: nothing leaks, and nothing is missing on record.
 * MCP_VERDICT_SOAK_MINUTES sets another time; the fast lane has 5, in which clients rest longer, since its other tests
 * need the machine too: MCP_VERDICT_SOAK_REST.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { reportLines } from '../../src/event/verify-report.ts';
import { publicKeyIn } from '../support/crash-scene.ts';
import { eventually } from '../support/eventually.ts';
import { familyOf, markedProcesses, openFilesOf } from '../support/processes.ts';
import { ACTS } from '../support/soak/acts.ts';
import { startClients, type Crowd } from '../support/soak/clients.ts';
import { balance } from '../support/soak/ledger.ts';
import type { MemoryReading } from '../support/soak/memory-probe.ts';
import { PIPE_ACTS, wrapAct } from '../support/soak/pipe-acts.ts';
import { readSpooled } from '../support/soak/records.ts';
import { startSoak, type SoakScene } from '../support/soak/scene.ts';
import { SDK_ACTS } from '../support/soak/sdk-acts.ts';
import { slopeOf } from '../support/soak/slope.ts';

const MINUTES = Number(process.env['MCP_VERDICT_SOAK_MINUTES'] ?? 30);
/** How many times as long as in the long lane clients rest between two acts. */
const REST = Number(process.env['MCP_VERDICT_SOAK_REST'] ?? 1);
const MINUTE_MS = 60_000;
/** Until then memory grows to what the work takes: code that is compiled when it has run often is a part of it. */
const WARM_UP_MINUTES = Math.min(MINUTES / 2, 5);
const LOOK_MS = 5_000;
/** Longer than the proxy keeps connections to a server that nobody needs. */
const QUIET_MS = 6_000;
/**
 * What heaps may still gain after the warm-up: code that is compiled late, and owners of sessions, which stay known up
 * to a number (200 bytes each). Seen: 1.3 MB at most.
 */
const SETTLING_BYTES = 2 * 1024 * 1024;
/** What they may gain for each message: less than anything that a message could leave behind. */
const MESSAGE_BYTES = 32;
/** What resident memory may gain: heaps are freed to the system late and in pieces. */
const RESIDENT_BYTES = 24 * 1024 * 1024;
/** What servers ask clients for here, in the trace of the call that makes them ask. */
const OF_SERVERS = new Set(['elicitation/create']);

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-soak-'));
after(() => rmSync(root, { recursive: true, force: true }));

test(
  `${MINUTES} minutes of 64 clients leave no memory, no socket and no process behind, and each message is on record`,
  {
    skip: process.platform === 'linux' ? false : 'memory and processes are seen in /proc',
    timeout: (MINUTES + 10) * MINUTE_MS,
  },
  async (t) => {
    const seed = Number(process.env['MCP_VERDICT_SOAK_SEED'] ?? Date.now() % 2 ** 31);
    t.diagnostic(`MCP_VERDICT_SOAK_SEED=${seed}`);
    const scene = await startSoak(root, seed);
    t.after(scene.close);
    await doEachOnce(scene);
    await settled(scene);
    const idle = openFilesOf(scene.pid);

    const readings = await soak(t, scene);

    await doEachOnce(scene);
    await settled(scene);
    await sameDescriptors(scene.pid, idle);
    // It puts on record how what was killed before it has ended.
    await wrapAct(scene.wrap, ['stdin']).run(scene.wire);
    const { code, stderr } = await scene.stop();
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /^mcp-verdict error/m);
    const [upstream] = scene.lasting;
    assert.deepEqual(markedProcesses(scene.mark), [upstream], 'processes that outlived the proxy');
    checkDelivered(scene, stderr);
    checkRecords(t, scene);
    checkMemory(t, readings);
  },
);

function crowdsOf({ wire, pipe, wrap }: SoakScene): readonly Crowd[] {
  return [
    { count: 48, wire, acts: ACTS, restMs: 2500 * REST },
    { count: 6, wire, acts: SDK_ACTS, restMs: 4000 * REST },
    // No more than a caller may have processes.
    { count: 8, wire: pipe, acts: PIPE_ACTS, restMs: 8000 * REST },
    { count: 2, wire, acts: [wrapAct(wrap, ['stdin', 'SIGTERM', 'SIGKILL'])], restMs: 16_000 * REST },
  ];
}

/** Whatever has gone before: everything still works. */
async function doEachOnce(scene: SoakScene): Promise<void> {
  for (const { wire, acts } of crowdsOf(scene)) for (const act of acts) await act.run(wire);
}

interface Look extends MemoryReading {
  /** That were sent before. */
  readonly messages: number;
}

/** @returns what memory was at each look, from the end of the warm-up on */
async function soak(t: TestContext, scene: SoakScene): Promise<Look[]> {
  const { ledger } = scene.wire;
  const startMs = performance.now();
  const cpuUs = (): number => familyOf(process.pid).reduce((sum, one) => sum + one.cpuUs, 0);
  const startCpuUs = cpuUs();
  const clients = startClients(crowdsOf(scene));
  const looks: Look[] = [];
  while (performance.now() - startMs < MINUTES * MINUTE_MS) {
    await wait(LOOK_MS);
    const reading = await scene.memory.read();
    if (reading.atMs - startMs < WARM_UP_MINUTES * MINUTE_MS) continue;
    looks.push({ ...reading, messages: ledger.entries.size });
  }
  const spentMs = (cpuUs() - startCpuUs) / 1000;
  await clients.stop();
  const cores = spentMs / (performance.now() - startMs);
  t.diagnostic(
    `${cores.toFixed(2)} cores; ${[...clients.done].map(([name, count]) => `${count} × ${name}`).join(', ')}`,
  );
  assert.deepEqual(clients.failures, []);
  return looks;
}

/** Nobody asks anything, and what was left has gone. */
async function settled({ mark, lasting }: SoakScene): Promise<void> {
  await wait(QUIET_MS);
  await eventually('no process is left but those that last', () =>
    markedProcesses(mark).every((pid) => lasting.includes(pid)),
  );
}

/** Fails where a process keeps more of some kind open than before: sockets, pipes, files, what the event loop needs. */
async function sameDescriptors(pid: number, before: readonly string[]): Promise<void> {
  const count = (files: readonly string[], kind: RegExp): number =>
    files.filter((file) => kind.test(file)).length;
  const more = (): readonly RegExp[] => {
    const now = openFilesOf(pid);
    return KINDS.filter((kind) => count(now, kind) > count(before, kind));
  };
  await eventually('no descriptor is left open', () => more().length === 0).catch(() => {
    assert.deepEqual(openFilesOf(pid), before, `more descriptors than before: ${more().join(' ')}`);
  });
}

/** The spool's next segment is opened when it is needed. */
const KINDS = [/^socket:/, /^pipe:/, /^anon_inode:/, /^\/(?!.*\/next\.log$)/];

/** The file holds the proxy's own stream, each record once, beside what it took over of the killed. */
function checkDelivered({ spool, delivered }: SoakScene, stderr: string): void {
  const [, durable = 'none'] = /info (\d+) records are durable, all delivered\n$/.exec(stderr) ?? [];
  // It was the first to have one, and ids of streams go by time.
  const [own = ''] = readdirSync(spool)
    .filter((name) => /^[0-9a-f-]{36}$/.test(name))
    .toSorted();
  const lines = readFileSync(delivered, 'utf8')
    .split('\n')
    .filter((line) => line.includes(`"${own}"`));
  const sequences = lines
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    .filter((body) => body['verdict.stream.id'] === own)
    .map((body) => body['verdict.stream.sequence']);
  assert.equal(String(sequences.length), durable, stderr);
  assert.equal(new Set(sequences).size, sequences.length, 'records that were delivered twice');
}

function checkRecords(t: TestContext, { wire, spool, seen }: SoakScene): void {
  const { records, report } = readSpooled(spool, publicKeyIn(join(root, 'keys')));
  assert.ok(report.ok, reportLines(report).join('\n'));
  const { entries } = wire.ledger;
  const account = balance(wire.ledger, records, OF_SERVERS);
  t.diagnostic(
    `${entries.size} messages, ${account.decisions} decisions, ${account.outcomes} outcomes, ${account.rejected} ` +
      `refusals with a record and ${account.counted} in a count, in ${report.streams.length} streams`,
  );
  assert.deepEqual(account.faults.slice(0, 20), []);
  const allowed = new Set(records.filter(({ effect }) => effect === 'allow').map(({ traceId }) => traceId));
  const reached = readFileSync(seen, 'utf8').split('\n').slice(0, -1);
  const undecided = reached.filter((traceId) => !allowed.has(traceId));
  assert.deepEqual(undecided, [], 'calls that reached a server without a decision');
  assert.ok(reached.length > 0);
}

function checkMemory(t: TestContext, looks: readonly Look[]): void {
  const [first] = looks;
  const last = looks.at(-1);
  assert.ok(first !== undefined && last !== undefined);
  const minutes = (last.atMs - first.atMs) / MINUTE_MS;
  const messages = last.messages - first.messages;
  const heapMax = SETTLING_BYTES + messages * MESSAGE_BYTES;
  const limits = { heapBytes: heapMax, bufferBytes: heapMax, residentBytes: RESIDENT_BYTES + heapMax };
  for (const kind of ['heapBytes', 'bufferBytes', 'residentBytes'] as const) {
    const points = looks.map((look) => ({
      minutes: (look.atMs - first.atMs) / MINUTE_MS,
      value: look[kind],
    }));
    const { perMinute, low, high } = slopeOf(points);
    const kb = (bytes: number): string => (bytes / 1024).toFixed(1);
    t.diagnostic(
      `${kind}: ${kb(last[kind])} KB, ${kb(perMinute)} KB/min (95 %: ${kb(low)} to ${kb(high)}) over ` +
        `${minutes.toFixed(1)} min and ${messages} messages`,
    );
    // What is sure: noise of a busy machine makes the limits wider, and never fails.
    assert.ok(low * minutes < limits[kind], `${kind} grow by ${kb(low)} KB/min at least`);
  }
}
