/** MCP clients over kept connections, with nothing above node:http. */
import { Agent, request as send, type IncomingMessage } from 'node:http';

export interface HttpClient {
  /** Makes one tool call. Rejects where it is not answered as it should. */
  readonly call: () => Promise<void>;
  close(): void;
}

/** What calls look like, and their answers. */
export interface HttpCalls {
  /** Besides those that every POST of MCP has. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where callers come from, in turn; undefined: from wherever the system says. */
  readonly addresses: readonly (string | undefined)[];
  /** The body of call number `id`, ASCII. */
  readonly textOf: (id: number) => string;
  /** Stands in the answer to call number `id`. */
  readonly expected: (id: number) => string;
}

const SHIPPED: HttpCalls = {
  headers: {},
  // No identity may hold all of a proxy's room, so the callers come from several addresses, where there are several.
  addresses:
    process.platform === 'linux' ? ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'] : [undefined],
  textOf: callText,
  expected: () => '"shipped"',
};

export function createHttpClient(url: string, calls: HttpCalls = SHIPPED): HttpClient {
  const target = new URL(url);
  const { addresses } = calls;
  const agents = addresses.map(() => new Agent({ keepAlive: true, maxSockets: Infinity }));
  let last = 0;
  return {
    async call() {
      last += 1;
      const id = last;
      const turn = id % addresses.length;
      const agent = agents[turn] ?? new Agent();
      const place = { target, agent, localAddress: addresses[turn] };
      const { status, text } = await post(place, calls.textOf(id), calls.headers);
      if (status !== 200 || !text.includes(calls.expected(id))) throw new Error(`${status} ${text}`);
    },
    close() {
      for (const agent of agents) agent.destroy();
    },
  };
}

export interface Place {
  readonly target: URL;
  readonly agent: Agent;
  readonly localAddress?: string | undefined;
}

export interface Posted {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

/** POSTs one message, and reads all of the answer. @param body ASCII */
export function post(
  { target, agent, localAddress }: Place,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<Posted> {
  return new Promise((resolve, reject) => {
    const request = send(target, {
      method: 'POST',
      agent,
      ...(localAddress !== undefined && { localAddress }),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'content-length': body.length,
        ...headers,
      },
    });
    request.once('error', reject);
    request.once('response', (answer) => {
      let text = '';
      answer.setEncoding('latin1');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.once('error', reject);
      answer.once('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    request.end(body);
  });
}

/** A tool call as agents make them; ASCII. @param meta of the parameters */
export function callText(id: number, meta?: object): string {
  const params = {
    name: 'read_order',
    arguments: { order: `A-10482-${id}`, fields: ['status', 'total', 'lines'] },
    ...(meta !== undefined && { _meta: meta }),
  };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
}
