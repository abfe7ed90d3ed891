/** The built `serve` in front of an upstream that answers every message with an empty result; only `echo` may pass. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { startCli, type Running } from './cli.ts';
import { toolCall } from './hostile-arguments.ts';

const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, identities: [anonymous], tools: ["up/echo"]}
`;

/** How records are kept, see `spool.durability`. */
export type Durability = 'sync' | 'none';

/** The last line of a proxy whose records have all arrived. */
export const ALL_DELIVERED: Readonly<Record<Durability, RegExp>> = {
  sync: /info \d+ records are durable, all delivered\n/,
  none: /info (\d+) records, \1 delivered\n/,
};

export interface ServeSceneOptions {
  readonly durability: Durability;
  /** A directory of the test's own; two scenes in one share their keys and their spool. */
  readonly directory: string;
  /** OTEL_* variables. */
  readonly env: Readonly<Record<string, string>>;
}

export interface ServeScene {
  readonly proxy: Running;
  /** Bodies that have reached the upstream. */
  readonly seen: readonly Buffer[];
  /** Sends a message in a trace of its own. */
  readonly post: (
    body: string | Uint8Array,
  ) => Promise<{ readonly status: number; readonly traceId: string }>;
  /** Makes a call that is allowed, and throws where it is not made. */
  readonly call: () => Promise<void>;
  /** Ends the proxy as a user would. */
  readonly stop: () => Promise<{ readonly code: number | null; readonly stderr: string }>;
  /** Ends whatever still runs. */
  readonly close: () => Promise<void>;
}

export async function startServeScene({
  directory,
  env,
  durability,
}: ServeSceneOptions): Promise<ServeScene> {
  const seen: Buffer[] = [];
  const upstream = createServer((request, response) => {
    void buffer(request).then((body) => {
      seen.push(body);
      response.setHeader('content-type', 'application/json');
      response.end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
    });
  });
  await new Promise<void>((listening) => upstream.listen(0, '127.0.0.1', listening));
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'policy.yaml'), POLICY);
  writeFileSync(
    join(directory, 'verdict.yaml'),
    'listen: 127.0.0.1:0\npolicy: [policy.yaml]\nidentity: {anonymous: allow}\nkeys: {directory: keys}\n' +
      `spool: {directory: spool, durability: ${durability}}\n` +
      // A server that listens on TCP has an AddressInfo.
      `servers: {up: {url: "http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp"}}\n`,
  );
  const proxy = startCli(['serve', '--config', 'verdict.yaml'], { env, cwd: directory });
  const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
  const post: ServeScene['post'] = async (body) => {
    const traceId = randomBytes(16).toString('hex');
    const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
    const headers = { 'content-type': 'application/json', accept: 'application/json', traceparent };
    const response = await fetch(url, { method: 'POST', headers, body });
    await response.text();
    return { status: response.status, traceId };
  };
  return {
    proxy,
    seen,
    post,
    async call() {
      const before = seen.length;
      const { status } = await post(toolCall('{}'));
      if (status !== 200 || seen.length !== before + 1) throw new Error(`The call was not made: ${status}.`);
    },
    async stop() {
      const { code } = await proxy.stop();
      return { code, stderr: proxy.stderr() };
    },
    async close() {
      await proxy.stop('SIGKILL');
      upstream.closeAllConnections();
      await new Promise((closed) => upstream.close(closed));
    },
  };
}
