/** Starts what section `peers` compares, each with the settings that cost it least. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from '../../support/free-port.ts';
import type { Contender } from '../compare-calls.ts';
import { createHttpClient } from '../http-client.ts';
import { pathOf, startNode, type ProgramOptions, type Started } from '../programs.ts';
import { startStdioClient } from '../stdio-client.ts';
import { openCalls, pipedCalls, type Era } from './sessions.ts';

export const ECHO_SERVER = pathOf('peers/echo-server');

const LOOPBACK = pathOf('peers/loopback');
const POLL_INTERVAL_MS = 50;
const START_POLLS_MAX = 400;

/** @param modules node_modules with the peers; @param upstream MCP over HTTP */
export function startCivic(modules: string, upstream: URL): Promise<Started> {
  return startPeer((port) => ({
    args: ['--import', LOOPBACK, join(modules, '@civic/passthrough-mcp-server/dist/cli.js')],
    env: {
      PORT: String(port),
      TARGET_SERVER_URL: upstream.origin,
      TARGET_SERVER_MCP_PATH: upstream.pathname,
    },
  }));
}

export function startMcpProxy(modules: string): Promise<Started> {
  const script = join(modules, 'mcp-proxy/dist/bin/mcp-proxy.mjs');
  return startPeer((port) => ({
    args: [
      script,
      ...MCP_PROXY_OPTIONS,
      '--port',
      String(port),
      '--',
      process.execPath,
      ECHO_SERVER,
      'stdio',
    ],
  }));
}

const MCP_PROXY_OPTIONS = ['--host', '127.0.0.1', '--server', 'stream', '--no-eventStore'];

export function startSupergateway(modules: string): Promise<Started> {
  const script = join(modules, 'supergateway/dist/index.js');
  const server = `'${process.execPath}' '${ECHO_SERVER}' stdio`;
  return startPeer((port) => ({
    args: ['--import', LOOPBACK, script, ...SUPERGATEWAY_OPTIONS, '--port', String(port), '--stdio', server],
  }));
}

const SUPERGATEWAY_OPTIONS = ['--outputTransport', 'streamableHttp', '--stateful', '--logLevel', 'none'];

/** All three serve MCP at /mcp. */
async function startPeer(
  optionsFor: (port: number) => ProgramOptions & { readonly args: readonly string[] },
): Promise<Started> {
  const port = await freePort();
  const { args, ...options } = optionsFor(port);
  const running = startNode(args, options);
  for (let polls = 0; !(await accepts(port)); polls += 1) {
    const ended = running.child.exitCode !== null || running.child.signalCode !== null;
    if (ended || polls === START_POLLS_MAX)
      throw new Error(`a peer does not serve: ${args.join(' ')}\n${running.stderr()}`);
    await wait(POLL_INTERVAL_MS);
  }
  return { ...running, url: `http://127.0.0.1:${port}/mcp` };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

export interface OpenContender extends Contender {
  close(): void | Promise<void>;
}

/** Opens a session with what has been started, and makes a call: what answers wrongly is not measured. */
export async function openContender(
  era: Era,
  name: string,
  { url, child }: { readonly url: string; readonly child?: { readonly pid?: number | undefined } },
): Promise<OpenContender> {
  const client = createHttpClient(url, await openCalls(era, url));
  await client.call();
  return { name, call: client.call, pid: child?.pid, close: () => client.close() };
}

/** The server alone, over its own pipes. */
export async function openPipes(era: Era, name: string): Promise<OpenContender> {
  const client = startStdioClient(process.execPath, [ECHO_SERVER, 'stdio'], pipedCalls(era));
  await client.call();
  return { name, call: client.call, close: () => client.close() };
}
