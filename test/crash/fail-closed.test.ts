/**
 * The disk is taken away while calls come in: none of them reaches the upstream, each is told so in the documented
 * shape, and when the disk is back the service is, by itself. The upstream's own counter is the judge.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { runCli } from '../support/cli.ts';
import { eventually } from '../support/collector.ts';
import { callBytesMax } from '../../src/spool/ration.ts';
import { fillStream } from '../bench/fill.ts';
import { callOnce, createService, startUpstream } from '../support/crash-scene.ts';
import type { Answer, Service, ServiceOptions } from '../support/crash-scene.ts';
import { exportedRecords } from '../support/delivered.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../support/otlp-receiver.ts';

/** All are under way at once, over so many connections. The long lane sets MCP_VERDICT_CRASH_CYCLES. */
const CALLS = process.env['MCP_VERDICT_CRASH_CYCLES'] === undefined ? 300 : 1000;
const CONNECTIONS = 200;
/** More than fit into what the spool fills ahead. */
const PREPARED_CALLS_MAX = 3000;
const TIMEOUT_MS = 180_000;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-closed-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Breakage {
  readonly what: string;
  /** Makes the place where the spool is to be; default: a directory beside the configuration. */
  readonly prepare?: (spool: string) => void;
  /** Of the configuration. */
  readonly options?: Partial<ServiceOptions>;
  readonly breakIt: (service: Service) => void;
  readonly mend: (service: Service, collector: OtlpReceiver) => void;
  readonly cleanUp?: (spool: string) => void;
  /** Connections that are open before; each more would need a handle that is not to be had. */
  readonly connections?: number;
  /** Whether the break leaves no handle for a connection of whoever asks for /readyz. */
  readonly deaf?: boolean;
}

/** Changes a limit of the running proxy: what `ulimit` sets before a start. */
function limit(service: Service, what: 'fsize' | 'nofile', soft: number | 'unlimited'): void {
  const { pid } = service.running().child;
  execFileSync('prlimit', ['--pid', String(pid), `--${what}=${soft}:`]);
}

const segmentsOf = (service: Service): string[] =>
  streamsOf(service).flatMap((stream) =>
    readdirSync(join(service.spool, stream))
      .filter((name) => name.endsWith('.log'))
      .map((name) => join(service.spool, stream, name)),
  );

const streamsOf = ({ spool }: Service): string[] => readdirSync(spool).filter((name) => name.length === 36);

const BALLAST = 'ballast';

const MAX_BYTES = 64 * 1024 ** 2;
/** For some calls, so that the limit is met while the proxy runs. */
const ROOM_BYTES = 1024 ** 2;

/** A dead process has left so much that nobody has had. */
function fillUpTo(spool: string, bytes: number): void {
  const { offset, sequence } = fillStream(mkdtempSync(join(root, 'measure-')), SAMPLE_RECORDS);
  fillStream(spool, Math.floor((bytes / offset) * sequence));
}

const SAMPLE_RECORDS = 512;

const BREAKAGES: readonly Breakage[] = [
  {
    what: 'a limit on the size of files',
    breakIt: (service) => limit(service, 'fsize', 1024),
    mend: (service) => limit(service, 'fsize', 'unlimited'),
  },
  {
    what: 'no file handle to be had for another segment',
    connections: 8,
    deaf: true,
    breakIt(service) {
      for (const segment of segmentsOf(service)) unlinkSync(segment);
      // All numbers below are taken by what every process has open.
      limit(service, 'nofile', 4);
    },
    mend: (service) => limit(service, 'nofile', 4096),
  },
  {
    what: 'a file in the place of the spool directory',
    breakIt({ spool }) {
      renameSync(spool, `${spool}.away`);
      writeFileSync(spool, '');
    },
    mend({ spool }) {
      unlinkSync(spool);
      renameSync(`${spool}.away`, spool);
    },
  },
  {
    what: 'reaching max_bytes with a collector that takes nothing',
    options: { maxBytes: '64MiB' },
    prepare: (spool) => fillUpTo(spool, callBytesMax(MAX_BYTES) - ROOM_BYTES),
    breakIt: () => {},
    mend: (_, collector) => collector.answerWith(() => ({})),
  },
  // Where tests may mount; the limit on the size of files above fails the same write everywhere.
  ...(mayMount()
    ? [
        {
          what: 'a full disk',
          prepare: (spool: string) =>
            execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'tmpfs', spool]),
          breakIt: ({ spool }: Service) => fill(join(spool, BALLAST)),
          mend: ({ spool }: Service) => unlinkSync(join(spool, BALLAST)),
          cleanUp: (spool: string) => execFileSync('umount', ['--lazy', spool]),
        },
      ]
    : []),
];

function mayMount(): boolean {
  const place = mkdtempSync(join(root, 'mount-'));
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place]).status !== 0) return false;
  execFileSync('umount', [place]);
  return true;
}

function fill(path: string): void {
  // dd ends with an error when the disk is full, and that is the point.
  spawnSync('dd', ['if=/dev/zero', `of=${path}`, 'bs=4096']);
}

describe('with the spool broken', () => {
  for (const breakage of BREAKAGES) {
    test(
      `by ${breakage.what}, ${CALLS} calls reach nobody, and it comes back by itself`,
      { timeout: TIMEOUT_MS },
      async (t) => {
        const { connections = CONNECTIONS } = breakage;
        const upstream = await startUpstream();
        t.after(upstream.close);
        const directory = mkdtempSync(join(root, 'service-'));
        const spool = join(directory, 'spool');
        mkdirSync(spool, { mode: 0o700 });
        breakage.prepare?.(spool);
        t.after(() => breakage.cleanUp?.(spool));
        const collector = await startOtlpReceiver();
        t.after(collector.close);
        // What it is sent only matters where the spool fills up because of it.
        const down = { status: 503, headers: { 'retry-after': '1' } };
        if (breakage.options !== undefined) collector.answerWith(() => down);
        const service = await createService({
          directory,
          upstreamPort: upstream.port,
          spool,
          env:
            breakage.options === undefined
              ? {}
              : { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${collector.url}/v1/logs` },
          ...breakage.options,
        });
        await service.start();
        t.after(service.kill);
        const agent = new Agent({ keepAlive: true, maxSockets: connections });
        t.after(() => agent.destroy());
        const burst = (count: number): Promise<Answer[]> =>
          Promise.all(Array.from({ length: count }, () => callOnce(service.url, agent)));
        for (const answer of await burst(connections)) assertPassed(answer);
        assert.equal(upstream.reached.size, connections);

        breakage.breakIt(service);
        const refused = await useUp(service, agent);
        const before = new Set(upstream.reached.keys());
        const answers = await burst(CALLS);
        assert.equal(upstream.reached.size, before.size, 'a call reached the upstream unrecorded');
        for (const answer of answers) assertRefused(answer);
        if (breakage.deaf !== true) assert.equal(await readiness(service), 503);

        breakage.mend(service, collector);
        refused.push(...answers);
        const first = await eventually(
          async () => {
            const answer = await callOnce(service.url, agent);
            if (!answer.text.includes('audit_unavailable')) return answer;
            refused.push(answer);
            return undefined;
          },
          { what: 'a call that is let through again', timeoutMs: 60_000 },
        );
        assertPassed(first);
        assert.equal(await readiness(service), 200);
        agent.destroy();
        // Tens of thousands wait, and a stop delivers only for so long.
        if (breakage.options !== undefined) await arrival(collector, first);
        const { code, stderr } = await service.stop();
        assert.equal(code, 0, stderr);
        assert.doesNotMatch(stderr, /LOST/);
        const records = await exportedRecords(service.spool);
        assertTold(records, refused);
        // A segment that was unlinked is a loss, and must be told as one.
        const decided = decidedIn(records);
        const isWhole = [...upstream.reached.keys()].every((id) => decided.has(id));
        // What the collector has had may be gone from the spool.
        const audited = breakage.options === undefined ? service.spool : saveReceived(directory, collector);
        await assertProven(service, audited, isWhole);
      },
    );
  }
});

/** Some room was made before it was needed: calls are recorded there until it is used up. @returns the refused ones */
async function useUp(service: Service, agent: Agent): Promise<Answer[]> {
  const refused: Answer[] = [];
  for (let inRow = 0, made = 0; inRow < 3; made += 1) {
    assert.ok(made < PREPARED_CALLS_MAX, 'calls go on although the disk is gone');
    const answer = await callOnce(service.url, agent);
    const isRefused = answer.text.includes('audit_unavailable');
    if (isRefused) refused.push(answer);
    inRow = isRefused ? inRow + 1 : 0;
  }
  return refused;
}

function assertPassed({ status, text }: Answer): void {
  assert.equal(status, 200, text);
  assert.doesNotMatch(text, /isError|error/);
}

function assertRefused({ id, status, text }: Answer): void {
  assert.equal(status, 200, text);
  const { id: answered, result } = JSON.parse(text);
  assert.equal(answered, id);
  assert.equal(result.isError, true);
  assert.match(result.content[0].text, /could not be recorded, so the call was not made/);
  const decision = result._meta['io.github.mcp-verdict/decision'];
  assert.equal(decision.effect, 'deny');
  assert.equal(decision.reason, 'audit_unavailable');
}

async function readiness({ admin }: Service): Promise<number> {
  const { status } = await fetch(`${admin}/readyz`, { headers: { connection: 'close' } });
  return status;
}

type Records = Awaited<ReturnType<typeof exportedRecords>>;

/** What is on record says that calls were refused and how many, and holds no decision for one of them. */
function assertTold(records: Records, refused: readonly Answer[]): void {
  const restored = records.filter((record) => record['verdict.lifecycle.state'] === 'audit_restored');
  const told = restored.reduce((sum, record) => sum + Number(record['verdict.lifecycle.refused']), 0);
  // Nothing but a checkpoint is waited for besides calls.
  assert.ok(
    told >= refused.length && told <= refused.length + 5,
    `${told} of ${refused.length} refusals are told`,
  );
  const decided = decidedIn(records);
  assert.deepEqual(
    refused.filter(({ id }) => decided.has(id)),
    [],
    'a refused call was recorded as allowed',
  );
}

function decidedIn(records: Records): ReadonlySet<string> {
  const decisions = records.filter((record) => record['event.name'] === 'verdict.decision');
  return new Set(decisions.map((record) => String(record['jsonrpc.request.id'])));
}

async function assertProven(service: Service, path: string, proven: boolean): Promise<void> {
  const { code, stdout, stderr } = await runCli(['records', 'verify', path, '--key', service.publicKey()]);
  assert.equal(code, proven ? 0 : 1, `${stdout}${stderr}`);
}

/** @returns a file with what the collector has taken */
/** Resolves when the call's decision is at the collector, and so all before it. */
async function arrival({ requests }: OtlpReceiver, { id }: Answer): Promise<void> {
  let looked = 0;
  await eventually(
    () => {
      for (; looked < requests.length; looked += 1) {
        if (requests[looked]?.body.includes(`{"stringValue":"${id}"}`) === true) return true;
      }
      return undefined;
    },
    { what: `the decision of ${id} at the collector`, timeoutMs: TIMEOUT_MS },
  );
}

function saveReceived(directory: string, { requests }: OtlpReceiver): string {
  const path = join(directory, 'received.jsonl');
  writeFileSync(path, requests.map(({ body }) => body.toString()).join('\n'));
  return path;
}
