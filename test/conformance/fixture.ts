/** A server that has every name the official conformance suite asks for, whatever it speaks over. */
import { McpServer, type ServerContext } from '@modelcontextprotocol/server';
import { addContents, addPrompts, addResources } from './fixture-content.ts';
import { addTalkativeTools } from './fixture-legacy.ts';
import { addRounds, stateCodec } from './fixture-rounds.ts';

export interface FixtureOptions {
  /** Ends the stream that a request is answered on, where there is one. */
  readonly closeStream: (ctx: ServerContext) => void;
  /** Says to all who listen that a list has changed. */
  readonly changed: (list: 'tools' | 'prompts', server: McpServer) => void;
}

export function createFixture({ closeStream, changed }: FixtureOptions): McpServer {
  const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    prompts: { listChanged: true },
    logging: {},
    completions: {},
  };
  const server = new McpServer(
    { name: 'conformance-fixture', version: '1.0.0' },
    { capabilities, requestState: { verify: stateCodec.verify } },
  );
  addContents(server);
  addResources(server);
  addPrompts(server);
  addTalkativeTools(server, closeStream);
  addRounds(server, (list) => changed(list, server));
  server.server.setRequestHandler('logging/setLevel', async () => ({}));
  server.server.setRequestHandler('completion/complete', async () => ({
    completion: { values: [], total: 0, hasMore: false },
  }));
  return server;
}
