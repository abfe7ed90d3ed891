/** Section `call`: a tool call over HTTP through the built proxy, beside a relay that does nothing. */
import { createHttpClient } from './http-client.ts';
import { startProgram, startProxy, stopAll } from './programs.ts';
import { compareCalls } from './compare-calls.ts';
import type { Section } from './section.ts';

export const callSection: Section = {
  name: 'call',
  async run(options) {
    const { directory } = options;
    const upstream = await startProgram('upstream');
    const relay = await startProgram('relay', `http://127.0.0.1:${upstream.port}/mcp`);
    const upstreamPort = upstream.port;
    const none = await startProxy({ directory: `${directory}/none`, durability: 'none', upstreamPort });
    const sync = await startProxy({ directory: `${directory}/sync`, durability: 'sync', upstreamPort });
    const clients = [
      sync.url,
      none.url,
      `http://127.0.0.1:${relay.port}/mcp`,
      `http://127.0.0.1:${upstreamPort}/mcp`,
    ].map(createHttpClient);
    const names = ['durability: sync', 'durability: none', 'bare relay', 'direct'];
    const text = await compareCalls(options, {
      contenders: clients.map(({ call }, index) => ({ name: names[index] ?? '', call })),
      base: 2,
      callers: [1, 32, 256],
    });
    for (const client of clients) client.close();
    await stopAll([none, sync, relay, upstream]);
    return (
      'Aims: sync alone at most 0.5 ms p50 above the bare relay; at 32 at least 0.75 of its calls/s. Client, proxy and ' +
      `upstream share the cores. Records stay in the spool.\n\n${text}`
    );
  },
};
