/** Many `wrap` processes share a spool directory, and are killed and started again: each record arrives, once. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCli, startCli, type Running } from '../support/cli.ts';
import { publicKeyIn } from '../support/crash-scene.ts';
import { announcedKeys, assertAccounted, readDelivered, type Delivered } from '../support/delivered.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../support/otlp-receiver.ts';
import { seededRandom } from '../support/simulated-files.ts';

/** The long lane sets MCP_VERDICT_CRASH_CYCLES=2000. */
const CYCLES = Number(process.env['MCP_VERDICT_CRASH_CYCLES'] ?? 40);
const PROCESSES = CYCLES < 1000 ? 8 : 20;
/** kill -9 and a new start, each of one of them. */
const KILLS = Math.floor(CYCLES / 4);
/** Killed together, and started together. */
const AT_ONCE = 5;
const CALL_PACE_MS = 300;

/** A server of a few kilobytes: notes the id of each call that reaches it, and answers. */
const SERVER = `while IFS= read -r line; do
  id=\${line#*'"id":"'}; id=\${id%%'"'*}
  printf '%s\\n' "$id" >> "$1"
  printf '{"jsonrpc":"2.0","id":"%s","result":{"content":[]}}\\n' "$id"
done
`;

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, identities: [authenticated, anonymous], tools: ["*/echo"]}
`;

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-many-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Wrapped {
  readonly running: Running;
  /** Resolves when it has ended because its client went away. */
  leave(): Promise<number | null>;
  kill(): Promise<void>;
}

let calls = 0;

function startWrapped(receiver: OtlpReceiver, log: string): Wrapped {
  const running = startCli(
    ['wrap', '--policy', 'policy.yaml', '--server', 'up', '--', 'sh', 'server.sh', log],
    {
      cwd: root,
      env: {
        XDG_STATE_HOME: join(root, 'state'),
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_METRICS_EXPORTER: 'none',
        NODE_COMPILE_CACHE: join(root, 'compiled'),
      },
    },
  );
  // One that is killed takes its end of the pipe with it.
  running.child.stdin.on('error', () => {});
  const timer = setInterval(() => {
    calls += 1;
    const params = { name: 'echo', arguments: {} };
    const message = { jsonrpc: '2.0', id: `call-${calls}`, method: 'tools/call', params };
    running.child.stdin.write(`${JSON.stringify(message)}\n`);
  }, CALL_PACE_MS);
  void running.ended.then(() => clearInterval(timer));
  return {
    running,
    async leave() {
      clearInterval(timer);
      running.child.stdin.end();
      return (await running.ended).code;
    },
    async kill() {
      clearInterval(timer);
      await running.stop('SIGKILL');
    },
  };
}

test(
  `${PROCESSES} processes on one spool, ${KILLS} times one is killed and started again`,
  { timeout: 300_000 + KILLS * 10_000 },
  async (t) => {
    const seed = Number(process.env['MCP_VERDICT_CRASH_SEED'] ?? Date.now() % 2 ** 31);
    t.diagnostic(`MCP_VERDICT_CRASH_SEED=${seed}`);
    const random = seededRandom(seed);
    writeFileSync(join(root, 'policy.yaml'), POLICY);
    writeFileSync(join(root, 'server.sh'), SERVER);
    const receiver = await startOtlpReceiver();
    t.after(receiver.close);
    let logs = 0;
    const startOne = async (): Promise<Wrapped> => {
      const wrapped = startWrapped(receiver, join(root, `calls-${(logs += 1)}.log`));
      await wrapped.running.waitFor(/"result"/);
      return wrapped;
    };
    // The first makes the keys, and leaves what it has compiled.
    assert.equal(await (await startOne()).leave(), 0);
    const all = await Promise.all(Array.from({ length: PROCESSES }, startOne));
    t.after(() => Promise.all(all.map(({ kill }) => kill())));

    for (let killed = 0; killed < KILLS; killed += AT_ONCE) {
      const first = random(PROCESSES);
      const indexes = Array.from({ length: AT_ONCE }, (_, offset) => (first + offset) % PROCESSES);
      await Promise.all(indexes.map((index) => all[index]?.kill()));
      // Those that start at once contend for what the dead have left.
      await Promise.all(indexes.map(async (index) => (all[index] = await startOne())));
    }
    assert.deepEqual(new Set(await Promise.all(all.map(({ leave }) => leave()))), new Set([0]));
    // Whatever two of them left to each other at the end.
    assert.equal(await (await startOne()).leave(), 0);

    const delivered = readDelivered(receiver.logs());
    const reached = readReached();
    t.diagnostic(
      `${reached.size} calls, ${delivered.records.size} records, ${delivered.duplicates} duplicates, ${KILLS} kills or more`,
    );
    assertAccounted(delivered, reached);
    assert.ok(reached.size > PROCESSES);
    assertAdoptions(delivered);
    const key = publicKeyIn(join(root, 'state', 'mcp-verdict', 'keys'));
    assert.deepEqual(announcedKeys(delivered), [key], 'many starts at once make one key');
    const bodies = receiver.requests
      .filter(({ path }) => path === '/v1/logs')
      .map(({ body }) => body.toString());
    writeFileSync(join(root, 'received.jsonl'), bodies.join('\n'));
    const verified = await runCli(['records', 'verify', join(root, 'received.jsonl'), '--key', key]);
    assert.equal(verified.code, 0, `${verified.stdout}${verified.stderr}`);
    const spooled = await runCli([
      'records',
      'verify',
      join(root, 'state', 'mcp-verdict', 'spool'),
      '--key',
      key,
    ]);
    assert.equal(spooled.code, 0, `${spooled.stdout}${spooled.stderr}`);
  },
);

function readReached(): Map<string, number> {
  const reached = new Map<string, number>();
  for (const name of readdirSync(root).filter((file) => file.endsWith('.log'))) {
    for (const id of readFileSync(join(root, name), 'utf8').split('\n').filter(Boolean)) {
      reached.set(id, (reached.get(id) ?? 0) + 1);
    }
  }
  return reached;
}

/** Who was not killed adopted what nobody else did, and never what was still written to. */
function assertAdoptions({ records }: Delivered): void {
  const stopped = new Set<string>();
  const last = new Map<string, number>();
  const adoptions: { readonly stream: string; readonly sequence: number; readonly by: string }[] = [];
  for (const attributes of records.values()) {
    const by = String(attributes['verdict.stream.id']);
    last.set(by, Math.max(last.get(by) ?? 0, Number(attributes['verdict.stream.sequence'])));
    if (attributes['verdict.lifecycle.state'] === 'stop') stopped.add(by);
    const adopted = attributes['verdict.lifecycle.adopted'];
    for (const text of Array.isArray(adopted) ? adopted : []) {
      const [stream = '', sequence = ''] = String(text).split(/[ :@]/);
      adoptions.push({ stream, sequence: Number(sequence), by });
    }
  }
  assert.ok(adoptions.length > 0, 'somebody was adopted');
  const byStream = Map.groupBy(adoptions, ({ stream }) => stream);
  const twice = [...byStream].filter(([, all]) => all.filter(({ by }) => stopped.has(by)).length > 1);
  assert.deepEqual(twice, [], 'adopted by two that lived on');
  const stolen = adoptions.filter(({ stream, sequence }) => sequence !== (last.get(stream) ?? 0));
  assert.deepEqual(stolen, [], 'adopted while it was written to');
}
