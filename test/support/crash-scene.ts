/** The built `serve` as a thing that can be killed and started again, its upstream, and agents that never rest. */
import { createPrivateKey, createPublicKey, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { CLI, startCommand, type Running } from './cli.ts';
import { freePort } from './free-port.ts';

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, identities: [anonymous], tools: ["*/echo"]}
`;

export interface Upstream {
  readonly port: number;
  /** JSON-RPC ids of the tool calls that have come whole, and how often. */
  readonly reached: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** @param delayMs how long it thinks about each call */
export async function startUpstream(delayMs: () => number = () => 0): Promise<Upstream> {
  const reached = new Map<string, number>();
  const server = createServer((incoming, response) => {
    void buffer(incoming)
      .then(async (bytes) => {
        const { id } = JSON.parse(bytes.toString()) as { id: string };
        reached.set(id, (reached.get(id) ?? 0) + 1);
        const delay = delayMs();
        if (delay > 0) await wait(delay);
        response.setHeader('content-type', 'application/json');
        response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[]}}`);
      })
      .catch(() => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    // A server that listens on TCP has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    reached,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

export interface ServiceOptions {
  /** Of the test: configuration, keys and spool are made in it. */
  readonly directory: string;
  readonly upstreamPort: number;
  /** Default: `spool` in the directory. */
  readonly spool?: string;
  readonly durability?: 'sync' | 'os' | 'none';
  /** `spool.max_bytes`. */
  readonly maxBytes?: string | undefined;
  readonly shutdownTimeout?: string;
  /** More lines of verdict.yaml. */
  readonly more?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Put before `node`: `['prlimit', '--fsize=…']`. */
  readonly before?: readonly string[];
}

export interface Service {
  /** Of the upstream behind the proxy; the same after each start. */
  readonly url: string;
  readonly admin: string;
  readonly spool: string;
  readonly running: () => Running;
  /** What checkpoints are signed with, as an auditor has it: base64. */
  readonly publicKey: () => string;
  /** Resolves when it serves. What one that ended in good order has compiled, the next ones need not. */
  start(): Promise<void>;
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>;
  stop(): Promise<{ readonly code: number | null; readonly stderr: string }>;
}

/** Writes the configuration; starts nothing. */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { directory, upstreamPort, durability = 'sync', shutdownTimeout = '5s', more = '' } = options;
  const limit = options.maxBytes === undefined ? '' : `, max_bytes: ${options.maxBytes}`;
  const spool = options.spool ?? join(directory, 'spool');
  const [port, adminPort] = [await freePort(), await freePort()];
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  writeFileSync(
    join(directory, 'verdict.yaml'),
    `listen: 127.0.0.1:${port}\nadmin: {listen: "127.0.0.1:${adminPort}"}\npolicy: [policy.yaml]\n` +
      `identity: {anonymous: allow}\nkeys: {directory: keys}\nshutdown_timeout: ${shutdownTimeout}\n` +
      `spool: {directory: ${JSON.stringify(spool)}, durability: ${durability}${limit}}\n` +
      `servers: {up: {url: "http://127.0.0.1:${upstreamPort}/mcp"}}\n${more}`,
  );
  let running: Running | undefined;
  const current = (): Running => {
    if (running === undefined) throw new Error('It was never started.');
    return running;
  };
  return {
    url: `http://127.0.0.1:${port}/up/mcp`,
    admin: `http://127.0.0.1:${adminPort}`,
    spool,
    running: current,
    publicKey: () => publicKeyIn(join(directory, 'keys')),
    async start() {
      const args = [...(options.before ?? []), process.execPath, CLI, 'serve', '--config', 'verdict.yaml'];
      const [command = '', ...rest] = args;
      running = startCommand(command, rest, {
        cwd: directory,
        env: { ...options.env, NODE_COMPILE_CACHE: join(directory, 'compiled') },
      });
      await running.waitFor(/serving up at/);
    },
    async kill() {
      await current().stop('SIGKILL');
    },
    async stop() {
      const { code } = await current().stop();
      return { code, stderr: current().stderr() };
    },
  };
}

/** The public half of a keys directory's signing key, in base64. */
export function publicKeyIn(keysDirectory: string): string {
  const secret = createPrivateKey(readFileSync(join(keysDirectory, 'signing.key')));
  const { x = '' } = createPublicKey(secret).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url').toString('base64');
}

export interface Answer {
  /** Its JSON-RPC id. */
  readonly id: string;
  /** Absent where none came. */
  readonly status: number | undefined;
  readonly text: string;
}

/** Makes one call of `echo`. Never rejects. */
export async function callOnce(url: string, agent: Agent, id: string = randomUUID()): Promise<Answer> {
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name: 'echo', arguments: { text: id } },
  });
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'content-length': Buffer.byteLength(body),
  };
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = httpRequest(url, { method: 'POST', agent, headers }, resolve);
      outgoing.once('error', reject);
      outgoing.end(body);
    });
    const bytes = await buffer(answer);
    return { id, status: answer.statusCode, text: bytes.toString() };
  } catch {
    return { id, status: undefined, text: '' };
  }
}

export interface Callers {
  /** Calls that were answered, so far. */
  readonly answered: () => number;
  stop(): Promise<void>;
}

const RETRY_MS = 10;

/** So many agents call all the time, each one call after the other, whatever becomes of them. */
export function startCallers(url: string, count: number, paceMs = 0): Callers {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  let stopped = false;
  let answered = 0;
  const run = async (): Promise<void> => {
    while (!stopped) {
      const { status } = await callOnce(url, agent);
      if (status !== undefined) answered += 1;
      const pauseMs = status === undefined ? RETRY_MS : paceMs;
      if (pauseMs > 0) await wait(pauseMs);
    }
  };
  const running = Promise.all(Array.from({ length: count }, run));
  return {
    answered: () => answered,
    async stop() {
      stopped = true;
      await running;
      agent.destroy();
    },
  };
}
