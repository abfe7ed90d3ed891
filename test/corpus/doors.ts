/** The two doors that the corpus is sent through: `serve` before an HTTP upstream, `wrap` around a stdio one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { startCli, type Running } from '../support/cli.ts';
import { toolCall } from '../support/hostile-arguments.ts';
import { send } from '../support/http-scene.ts';
import { within } from '../support/within.ts';
import { startRecordingUpstream, type Arrival } from './upstream.ts';
import type { Vector } from './vectors.ts';

/** What became of one vector. */
export interface Passage {
  readonly status?: number;
  /** JSON-RPC messages that came back, as text. */
  readonly answers: readonly string[];
  /** What has reached the upstream, framing taken away. */
  readonly arrivals: readonly Pick<Arrival, 'body'>[];
  /** Of the upstream's request; over HTTP only. */
  readonly headers?: Arrival['headers'] | undefined;
  readonly durationMs: number;
}

export interface Door {
  readonly proxy: Running;
  /** Sends a vector, and after it a call of the tool `probe`, which is allowed: whatever came of the vector has come. */
  pass(vector: Vector): Promise<Passage>;
  close(): Promise<void>;
}

export interface DoorOptions {
  /** Of the test's own. */
  readonly directory: string;
  readonly collector: string;
}

const POLICY = fileURLToPath(new URL('policy.yaml', import.meta.url));
const PROBE = toolCall('{}', '"probe"').replace('"id":1', '"id":"probe"');
/** For a message of megabytes on a machine that does other things too. */
const DEADLINE_MS = 60_000;

export async function openHttp({ directory, collector }: DoorOptions): Promise<Door> {
  const upstream = await startRecordingUpstream();
  writeFileSync(
    join(directory, 'verdict.yaml'),
    `listen: 127.0.0.1:0\npolicy: [${JSON.stringify(POLICY)}]\nidentity: {anonymous: allow}\n` +
      `keys: {directory: keys}\nspool: {directory: spool}\nservers: {up: {url: "${upstream.url}"}}\n`,
  );
  const proxy = startCli(['serve', '--config', join(directory, 'verdict.yaml')], {
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector, OTEL_BLRP_SCHEDULE_DELAY: '20' },
  });
  const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
  const port = Number(new URL(url).port);
  const post = (body: string | Uint8Array, headers: Vector['headers'] = []) => {
    const own = headers.some(([name]) => name.toLowerCase() === 'content-type');
    const type: Vector['headers'] = own ? [] : [['Content-Type', 'application/json']];
    const accept: Vector['headers'] = [['Accept', 'application/json, text/event-stream']];
    return send(port, { path: '/up/mcp', headers: [...type, ...accept, ...headers].flat(), body });
  };
  return {
    proxy,
    async pass({ message, headers }) {
      const startedMs = performance.now();
      const { status, body } = await within('an answer', post(message, headers), DEADLINE_MS);
      const durationMs = performance.now() - startedMs;
      const arrivals = upstream.taken();
      await post(PROBE);
      const late = upstream.taken().filter((arrival) => arrival.body.toString() !== PROBE);
      const answers = body.length === 0 ? [] : [body.toString()];
      const [first] = arrivals;
      return { status, answers, arrivals: [...arrivals, ...late], headers: first?.headers, durationMs };
    },
    async close() {
      await proxy.stop('SIGKILL');
      upstream.close();
    },
  };
}

export async function openStdio({ directory, collector }: DoorOptions): Promise<Door> {
  const file = join(directory, 'stdin');
  writeFileSync(file, '');
  const server = fileURLToPath(new URL('recording-server.ts', import.meta.url));
  const options = ['--policy', POLICY, '--server', 'up', '--agent', 'corpus'];
  const state = ['--keys-directory', join(directory, 'keys'), '--spool', join(directory, 'spool')];
  const proxy = startCli(['wrap', ...options, ...state, '--', process.execPath, server], {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
      OTEL_BLRP_SCHEDULE_DELAY: '20',
      RECORDING_FILE: file,
    },
  });
  const lines = createInterface({ input: proxy.child.stdout })[Symbol.asyncIterator]();
  let seen = 0;
  const taken = (): Buffer => {
    const all = readFileSync(file);
    const fresh = all.subarray(seen);
    seen = all.length;
    return fresh;
  };
  return {
    proxy,
    async pass({ message }) {
      const startedMs = performance.now();
      proxy.child.stdin.write(message);
      proxy.child.stdin.write(`\n${PROBE}\n`);
      const answers: string[] = [];
      let durationMs = 0;
      for (;;) {
        const { value, done } = await within('the answer to the probe', lines.next(), DEADLINE_MS);
        if (done === true) throw new Error(`wrap has ended: ${proxy.stderr()}`);
        if (value.includes('"id":"probe"')) break;
        answers.push(value);
        durationMs = performance.now() - startedMs;
      }
      const probe = Buffer.from(`${PROBE}\n`);
      const fresh = taken();
      if (!fresh.subarray(-probe.length).equals(probe)) throw new Error('the probe did not reach the server');
      const body = fresh.subarray(0, -probe.length);
      // Framing: the line feed that the vector was sent with.
      const arrivals = body.length === 0 ? [] : [{ body: body.subarray(0, -1) }];
      return { answers, arrivals, durationMs };
    },
    async close() {
      await proxy.stop('SIGKILL');
    },
  };
}
