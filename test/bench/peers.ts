/**
 * Section `peers`: a tool call through the built proxy, beside other proxies for MCP in front of the same server. They
 * decide nothing and record nothing.
 */
import { fileURLToPath } from 'node:url';
import { findNpmPrograms } from '../support/npm-programs.ts';
import {
  addedUs,
  costOf,
  measureCalls,
  perCall,
  ROW_HEAD,
  rowOf,
  signedMs,
  warmUp,
  type Round,
} from './compare-calls.ts';
import {
  ECHO_SERVER,
  openContender,
  openPipes,
  startCivic,
  startMcpProxy,
  startSupergateway,
  type OpenContender,
} from './peers/contenders.ts';
import type { Era } from './peers/sessions.ts';
import { startProgram, startProxy, stopAll } from './programs.ts';
import type { Section, SectionOptions } from './section.ts';
import { ratio, type Series } from './statistics.ts';
import { table, times } from './table.ts';

const CALLERS = [1, 32];
const LEGACY: Era = '2025-11-25';
const MODERN: Era = '2026-07-28';
const OURS = 'mcp-verdict';
const UNRECORDED = `${OURS}, records not durable`;

export const peersSection: Section = {
  name: 'peers',
  async run(options) {
    const modules = findNpmPrograms(fileURLToPath(new URL('peers', import.meta.url)));
    const texts = [await inFrontOfHttp(options, modules), await inFrontOfStdio(options, modules)];
    return (
      `The same server of the MCP SDK is behind all of them; each answer is checked to be that of its call. ${LEGACY}: ` +
      `one session for all callers, answers as SSE; ${MODERN}: no session, answers as JSON. Rounds in turns; added: the ` +
      'median of what each round took more than the direct one beside it. CPU is that of the proxy with its threads, and ' +
      'with its child processes, the server among them. Peers decide and record nothing, and log as little as they can. ' +
      `civic speaks no ${MODERN}; supergateway does, but starts a server for each such call, a second long.\n\n${texts.join('\n')}`
    );
  },
};

/** A table, and what must hold for its first row: every other one is measured by it. */
interface Scene {
  readonly title: string;
  readonly ways: readonly OpenContender[];
}

async function inFrontOfHttp(options: SectionOptions, modules: string): Promise<string> {
  const { directory } = options;
  const upstream = await startProgram('peers/echo-server', 'http');
  const url = `http://127.0.0.1:${upstream.port}/mcp`;
  const relay = await startProgram('relay', url);
  const proxyOptions = { upstream: upstream.port } as const;
  const none = await startProxy({ ...proxyOptions, directory: `${directory}/none`, durability: 'none' });
  const sync = await startProxy({ ...proxyOptions, directory: `${directory}/sync`, durability: 'sync' });
  const civic = await startCivic(modules, new URL(url));
  const open = async (era: Era): Promise<OpenContender[]> => [
    await openContender(era, 'direct', { url }),
    await openContender(era, 'bare relay', { ...relay, url: `http://127.0.0.1:${relay.port}/mcp` }),
    await openContender(era, UNRECORDED, none),
    await openContender(era, OURS, sync),
  ];
  const legacy = [...(await open(LEGACY)), await openContender(LEGACY, 'civic passthrough', civic)];
  const texts = [
    await compare(options, { title: `${LEGACY}, HTTP in front of HTTP`, ways: legacy }),
    await compare(options, { title: `${MODERN}, HTTP in front of HTTP`, ways: await open(MODERN) }),
  ];
  await stopAll([civic, sync, none, relay, upstream]);
  return texts.join('\n');
}

async function inFrontOfStdio(options: SectionOptions, modules: string): Promise<string> {
  const { directory } = options;
  const proxyOptions = { upstream: [process.execPath, ECHO_SERVER, 'stdio'] } as const;
  const none = await startProxy({ ...proxyOptions, directory: `${directory}/pipe-none`, durability: 'none' });
  const sync = await startProxy({ ...proxyOptions, directory: `${directory}/pipe-sync`, durability: 'sync' });
  const mcpProxy = await startMcpProxy(modules);
  const supergateway = await startSupergateway(modules);
  const open = async (era: Era): Promise<OpenContender[]> => [
    await openPipes(era, 'direct'),
    await openContender(era, UNRECORDED, none),
    await openContender(era, OURS, sync),
    await openContender(era, 'mcp-proxy', mcpProxy),
  ];
  const legacy = [...(await open(LEGACY)), await openContender(LEGACY, 'supergateway', supergateway)];
  const texts = [
    await compare(options, { title: `${LEGACY}, HTTP in front of stdio`, ways: legacy }),
    await compare(options, { title: `${MODERN}, HTTP in front of stdio`, ways: await open(MODERN) }),
  ];
  await stopAll([supergateway, mcpProxy, sync, none]);
  return texts.join('\n');
}

async function compare(options: SectionOptions, { title, ways }: Scene): Promise<string> {
  options.say(title);
  await warmUp(options, ways);
  const rows: string[][] = [];
  const ratios: string[][] = [];
  for (const callers of CALLERS) {
    const results = await measureCalls(options, ways, callers);
    const [base = []] = results;
    for (const [index, { name }] of ways.entries()) {
      const own = results[index] ?? [];
      rows.push([
        ...rowOf(`${callers} ${name}`, own),
        perCall(own, (round) => round.cpuUs),
        perCall(own, (round) => round.familyCpuUs),
        index === 0 ? '' : signedMs(addedUs(own, base, p50)),
        index === 0 ? '' : signedMs(addedUs(own, base, p99)),
      ]);
    }
    const named = ways.map(({ name }, index) => ({ name, rounds: results[index] ?? [] }));
    ratios.push(...ratiosOf(callers, base, named));
  }
  await Promise.all(ways.map((way) => way.close()));
  const head = [...ROW_HEAD, 'CPU us/call', 'with children', 'added p50 ms', 'added p99 ms'];
  const ratioHead = [`RATIO of ${OURS} to`, 'added p50', 'added p99', 'CPU', 'with children', 'calls/s'];
  return `### ${title}\n\n${table(head, rows)}\n${table(ratioHead, ratios)}`;
}

interface Named {
  readonly name: string;
  readonly rounds: readonly Round[];
}

/** Ours beside each of the others. */
function ratiosOf(callers: number, base: readonly Round[], ways: readonly Named[]): string[][] {
  const ours = ways.find(({ name }) => name === OURS)?.rounds ?? [];
  return ways.slice(1).flatMap(({ name, rounds }) => {
    if (name.startsWith(OURS)) return [];
    const added = (of: (series: Series) => number): string => {
      const [own, other] = [addedUs(ours, base, of), addedUs(rounds, base, of)];
      // Where one takes no longer than direct, a ratio says nothing.
      return own > 0 && other > 0 ? times(own / other) : '';
    };
    const cost = (of: (round: Round) => number): string => times(costOf(ours, of) / costOf(rounds, of));
    return [
      [
        `${callers} ${name}`,
        added(p50),
        added(p99),
        cost((round) => round.cpuUs),
        cost((round) => round.familyCpuUs),
        times(ratio(ours, rounds, (series) => series.perSecond)),
      ],
    ];
  });
}

const p50 = ({ p50Us }: Series): number => p50Us;
const p99 = ({ p99Us }: Series): number => p99Us;
