/** mcp-remote: a bridge that clients start as a server of their own, and that talks to a server over HTTP. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainEnvironment } from '../support/cli.ts';
import { npmProgram } from './npm.ts';
import type { Player } from './script.ts';

/** @param player the client that starts it */
export function throughMcpRemote(player: Player): Player {
  return {
    revision: player.revision,
    legacy: player.legacy,
    name: `${player.name} through mcp-remote`,
    speaks: ['http'],
    goes: ({ server }) => server === (player.legacy ? 'everything' : 'fixture'),
    // The headers that a client of 2026-07-28 would set are lost on stdio, and so is the closing of a stream by which it
    // takes a call back: what comes instead names the call in no session, where no cancellation can be matched to it.
    cannot: player.legacy ? [] : ['a tool mirrors an argument in a header', 'a call is taken back'],
    play(endpoint, script) {
      // Without a proxy there is nothing between a client and a stdio server.
      if (endpoint.kind !== 'http') return player.play(endpoint, script);
      const headers = Object.entries(endpoint.headers).flatMap(([name, value]) => [
        '--header',
        `${name}:${value}`,
      ]);
      return player.play(
        {
          kind: 'stdio',
          command: process.execPath,
          args: [npmProgram('mcp-remote/dist/proxy.js'), endpoint.url, '--allow-http', ...headers],
          env: {
            ...(plainEnvironment() as Record<string, string>),
            MCP_REMOTE_CONFIG_DIR: configDirectory(),
          },
        },
        script,
      );
    },
  };
}

/** It keeps what it knows of servers there, and locks: each run has a directory of its own in one of ours. */
const CONFIGS = mkdtempSync(join(tmpdir(), 'mcp-verdict-remote-'));
process.on('exit', () => rmSync(CONFIGS, { recursive: true, force: true }));

const configDirectory = (): string => mkdtempSync(join(CONFIGS, 'run-'));
