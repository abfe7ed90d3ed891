/** The built `serve` over files that a test edits, in front of an upstream on loopback. */
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { newApiKey } from '../../src/identity/api-keys.ts';
import { runCli, startCli, type Running } from './cli.ts';
import { eventually } from './eventually.ts';
import { callTool } from './http-scene.ts';

export type Body = Readonly<Record<string, unknown>>;

export interface Keyed {
  readonly key: string;
  readonly entry: object;
}

export interface ReloadScene {
  readonly directory: string;
  readonly proxy: Running;
  /** Of the server `up`. */
  readonly url: string;
  /** Replaces a file whole, by a rename. */
  readonly put: (name: string, text: string) => void;
  /** Resolves when stderr says so, after all that it has said before. */
  readonly says: (pattern: RegExp) => Promise<void>;
  /** Makes a call. @returns its HTTP status and whether a tool's result came back, and no denial */
  readonly call: (options?: CallOptions) => Promise<{ readonly status: number; readonly allowed: boolean }>;
  /** Stops the proxy, proves its records, and gives their bodies in order. */
  readonly stop: () => Promise<readonly Body[]>;
  readonly close: () => Promise<void>;
}

export interface CallOptions {
  readonly tool?: string;
  readonly key?: Keyed;
  readonly url?: string;
}

export interface ReloadSceneOptions {
  /** Members of verdict.yaml besides those of every scene. */
  readonly config?: object;
  readonly files?: Readonly<Record<string, string>>;
  /** Default: answers each call at once. */
  readonly upstream?: (request: IncomingMessage, response: ServerResponse) => void;
}

/** @param tools of the server `up` that everybody may use */
export function policyText(version: string, tools: readonly string[]): string {
  const rules = tools.map((tool) => ({
    id: `use-${tool}`,
    effect: 'allow',
    identities: ['authenticated', 'anonymous'],
    tools: [`up/${tool}`],
  }));
  return JSON.stringify({
    apiVersion: 'mcp-verdict/v1',
    kind: 'Policy',
    metadata: { name: 'p', version },
    rules,
  });
}

export function keysText(...keys: readonly Keyed[]): string {
  return JSON.stringify({
    apiVersion: 'mcp-verdict/v1',
    kind: 'ApiKeys',
    keys: keys.map(({ entry }) => entry),
  });
}

export function newKey(user: string, agent = `${user}-bot`): Keyed {
  return newApiKey({ user, agent: { id: agent, name: agent } });
}

export async function startReloadScene(options: ReloadSceneOptions = {}): Promise<ReloadScene> {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-reload-'));
  const upstream = createServer((request, response) => (options.upstream ?? answer)(request, response));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`;
  const put = (name: string, text: string): void => {
    writeFileSync(join(directory, `${name}.new`), text);
    renameSync(join(directory, `${name}.new`), join(directory, name));
  };
  put('policy.yaml', policyText('1', ['echo']));
  const config = {
    listen: '127.0.0.1:0',
    policy: ['policy.yaml'],
    identity: { anonymous: 'allow' },
    servers: { up: { url: upstreamUrl } },
    keys: { directory: 'keys' },
    spool: { directory: 'spool' },
    reload: { watch: '100ms' },
    ...options.config,
  };
  put('verdict.yaml', JSON.stringify(config));
  for (const [name, text] of Object.entries(options.files ?? {})) put(name, text);
  const proxy = startCli(['serve', '--config', 'verdict.yaml'], { cwd: directory });
  const [, url = ''] = await proxy.waitFor(/serving up at (\S+)/);
  let heard = 0;
  return {
    directory,
    proxy,
    url,
    put,
    async says(pattern) {
      let found: RegExpExecArray | null = null;
      await eventually(String(pattern), () => {
        found = pattern.exec(proxy.stderr().slice(heard));
        if (found !== null) heard += found.index + found[0].length;
        return found !== null;
      });
    },
    async call({ tool = 'echo', key, url: other = url } = {}) {
      const headers = {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(key === undefined ? {} : { authorization: `Bearer ${key.key}` }),
      };
      const response = await fetch(other, { method: 'POST', headers, body: callTool(1, tool) });
      const text = await response.text();
      return {
        status: response.status,
        allowed: response.status === 200 && /"result":\{"content":\[\]\}/.test(text),
      };
    },
    async stop() {
      const { code } = await proxy.stop();
      assert.equal(code, 0, proxy.stderr());
      return await recordsOf(directory);
    },
    async close() {
      await proxy.stop('SIGKILL');
      upstream.closeAllConnections();
      await new Promise((closed) => upstream.close(closed));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Proves the records of the spool in a directory, and gives their bodies in order. */
export async function recordsOf(directory: string): Promise<readonly Body[]> {
  const verified = await runCli(['records', 'verify', join(directory, 'spool')], { cwd: directory });
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const { code, stdout } = await runCli(['records', 'export', '--format', 'json', '--spool', 'spool'], {
    cwd: directory,
  });
  assert.equal(code, 0);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Body);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  void buffer(request).then(() => {
    response.setHeader('content-type', 'application/json');
    response.end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
  });
}

/** The records of one event, each by what is asked for of it. */
export function recordsNamed(
  records: readonly Body[],
  name: string,
  ...keys: readonly string[]
): unknown[][] {
  return records
    .filter((record) => record['event.name'] === name)
    .map((record) => keys.map((key) => record[key]));
}
