/** MCP clients over kept connections, with nothing above node:http. */
import { Agent, request as send } from 'node:http';

export interface HttpClient {
  /** Makes one tool call. Rejects where it is not answered as it should. */
  readonly call: () => Promise<void>;
  close(): void;
}

/** No identity may hold all of a proxy's room, so the callers come from several addresses, where there are several. */
const ADDRESSES =
  process.platform === 'linux' ? ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'] : [undefined];

export function createHttpClient(url: string): HttpClient {
  const target = new URL(url);
  const agents = ADDRESSES.map(() => new Agent({ keepAlive: true, maxSockets: Infinity }));
  let last = 0;

  const call = (): Promise<void> =>
    new Promise((resolve, reject) => {
      last += 1;
      const turn = last % ADDRESSES.length;
      const localAddress = ADDRESSES[turn];
      const body = callText(last);
      const request = send(target, {
        method: 'POST',
        agent: agents[turn],
        ...(localAddress !== undefined && { localAddress }),
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'content-length': body.length,
        },
      });
      request.once('error', reject);
      request.once('response', (answer) => {
        let text = '';
        answer.setEncoding('latin1');
        answer.on('data', (chunk: string) => (text += chunk));
        answer.once('error', reject);
        answer.once('end', () => {
          if (answer.statusCode === 200 && text.includes('"shipped"')) resolve();
          else reject(new Error(`${answer.statusCode} ${text}`));
        });
      });
      request.end(body);
    });

  return {
    call,
    close() {
      for (const agent of agents) agent.destroy();
    },
  };
}

/** A tool call as agents make them; ASCII. */
export function callText(id: number): string {
  const params = {
    name: 'read_order',
    arguments: { order: `A-10482-${id}`, fields: ['status', 'total', 'lines'] },
  };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
}
