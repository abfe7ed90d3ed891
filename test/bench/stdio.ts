/** Section `stdio`: a tool call through the built `wrap`, beside the server alone. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { CLI } from '../support/cli.ts';
import { compareCalls } from './compare-calls.ts';
import { pathOf, POLICY } from './programs.ts';
import type { Section, SectionOptions } from './section.ts';
import { startStdioClient } from './stdio-client.ts';
import type { StdioClient } from './stdio-client.ts';

const SERVER = [process.execPath, pathOf('stdio-echo')] as const;

export const stdioSection: Section = {
  name: 'stdio',
  async run(options) {
    const clients = [
      wrapped(options, 'sync'),
      wrapped(options, 'none'),
      startStdioClient(SERVER[0], SERVER.slice(1)),
    ];
    const names = ['durability: sync', 'durability: none', 'direct'];
    const text = await compareCalls(options, {
      contenders: clients.map(({ call, pid }, index) => ({ name: names[index] ?? '', call, pid })),
      base: 2,
      callers: [1, 32, 256],
    });
    await Promise.all(clients.map((client) => client.close()));
    return `\`wrap\` in front of a server that answers at once; calls are written without waiting for one another.\n\n${text}`;
  },
};

function wrapped({ directory }: SectionOptions, durability: 'sync' | 'none'): StdioClient {
  mkdirSync(directory, { recursive: true });
  const policy = `${directory}/policy.yaml`;
  writeFileSync(policy, POLICY.replaceAll(/ *identities: \[anonymous\],?\n?/g, ''));
  const options = ['--policy', policy, '--server', 'shop', '--agent', 'bench', '--durability', durability];
  const places = ['--spool', `${directory}/${durability}`, '--keys-directory', `${directory}/keys`];
  const args = [CLI, 'wrap', ...options, ...places, '--log-level', 'error', '--', ...SERVER];
  return startStdioClient(process.execPath, args);
}
