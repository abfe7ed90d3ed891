/**
 * Section `call`: a tool call over HTTP through the built proxy, beside a relay that does nothing, and beside parts of
 * the proxy, each with a little more in it than the one before.
 */
import { createHttpClient } from './http-client.ts';
import { startProgram, startProxy, stopAll } from './programs.ts';
import { compareCalls } from './compare-calls.ts';
import type { Section } from './section.ts';

export const callSection: Section = {
  name: 'call',
  async run(options) {
    const { directory } = options;
    const upstream = await startProgram('upstream');
    const target = `http://127.0.0.1:${upstream.port}/mcp`;
    const relay = await startProgram('relay', target);
    const parse = await startProgram('door', 'parse', target);
    const gate = await startProgram('door', 'gate', target);
    const none = await startProxy({
      directory: `${directory}/none`,
      durability: 'none',
      upstream: upstream.port,
    });
    const sync = await startProxy({
      directory: `${directory}/sync`,
      durability: 'sync',
      upstream: upstream.port,
    });
    const ways = [
      { name: 'durability: sync', url: sync.url, pid: sync.child.pid },
      { name: 'durability: none', url: none.url, pid: none.child.pid },
      { name: 'policy, no record', url: `http://127.0.0.1:${gate.port}/shop/mcp`, pid: gate.child.pid },
      { name: 'strict parse only', url: `http://127.0.0.1:${parse.port}/shop/mcp`, pid: parse.child.pid },
      { name: 'bare relay', url: `http://127.0.0.1:${relay.port}/mcp`, pid: relay.child.pid },
      { name: 'direct', url: target, pid: undefined },
    ].map((way) => ({ ...way, client: createHttpClient(way.url) }));
    const text = await compareCalls(options, {
      contenders: ways.map(({ name, pid, client }) => ({ name, pid, call: client.call })),
      base: ways.findIndex(({ name }) => name === 'bare relay'),
      callers: [1, 32, 256],
    });
    for (const { client } of ways) client.close();
    await stopAll([none, sync, gate, parse, relay, upstream]);
    return (
      'Aims: sync alone at most 0.5 ms p50 above the bare relay; at 32 at least 0.75 of its calls/s. Client, proxy and ' +
      'upstream share the cores; CPU is that of the process in between, all its threads. Records stay in the spool.' +
      `\n\n${text}`
    );
  },
};
