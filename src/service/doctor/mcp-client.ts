/**
 * Asks a server who it is, as a client would: `initialize`, or `server/discover` where it speaks only the newer
 * protocol, and then for its tools. The SDK is loaded when it is needed, which no call through the proxy ever does.
 */
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';

export interface ServerCard {
  readonly name: string;
  readonly version: string;
  readonly protocol: string;
  /** undefined: it has none to offer. */
  readonly tools: number | undefined;
  /** Until it had answered. */
  readonly elapsedMs: number;
}

/** One way to the server; asked for again where the first conversation failed. */
export interface Connection {
  /** A transport that has not been started. */
  open(): Promise<Transport>;
  /** Tells the transport's server that we go; then `close` ends the rest. */
  leave?(transport: Transport): Promise<void>;
}

export interface AskOptions {
  /** Ours. */
  readonly version: string;
  /** For each answer. */
  readonly timeoutMs: number;
}

const CLIENT_NAME = 'mcp-verdict doctor';
/** Pages of a list; a server that never ends its list is not read to the end. */
const PAGES_MAX = 100;
const MODERN = '2026-07-28';

/** Rejects with what the server answered to `initialize`, where it does not speak the newer protocol either. */
export async function askServer(connection: Connection, options: AskOptions): Promise<ServerCard> {
  try {
    return await initialize(connection, options);
  } catch (error) {
    if (!isAnswer(error)) throw error;
    try {
      return await discover(connection, options);
    } catch {
      throw error;
    }
  }
}

/** Whether the server said something, and no: whoever is silent, gone or not there is not asked twice. */
function isAnswer(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'number' && !SILENCE.has(error.code)
  );
}

/** The SDK's own codes: the connection was closed, no answer came in time. */
const SILENCE: ReadonlySet<number> = new Set([-32000, -32001]);

async function initialize(connection: Connection, { version, timeoutMs }: AskOptions): Promise<ServerCard> {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const started = performance.now();
  const transport = await connection.open();
  const client = new Client({ name: CLIENT_NAME, version });
  const request = { timeout: timeoutMs };
  let protocol = 'unknown';
  transport.setProtocolVersion = wrapped(transport.setProtocolVersion?.bind(transport), (text) => {
    protocol = text;
  });
  try {
    await client.connect(transport, request);
    const tools =
      client.getServerCapabilities()?.tools === undefined ? undefined : await count(client, request);
    const { name = 'unnamed', version: theirs = 'unknown' } = client.getServerVersion() ?? {};
    return { name, version: theirs, protocol, tools, elapsedMs: performance.now() - started };
  } finally {
    await connection.leave?.(transport).catch(() => {});
    await client.close();
  }
}

function wrapped(
  inner: ((version: string) => void) | undefined,
  tell: (version: string) => void,
): (version: string) => void {
  return (version) => {
    tell(version);
    inner?.(version);
  };
}

interface Lister {
  listTools(
    params: { cursor?: string },
    options: { timeout: number },
  ): Promise<{ tools: readonly unknown[]; nextCursor?: string | undefined }>;
}

async function count(client: Lister, request: { timeout: number }): Promise<number> {
  let tools = 0;
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const listed = await client.listTools(cursor === undefined ? {} : { cursor }, request);
    tools += listed.tools.length;
    cursor = listed.nextCursor;
    if (cursor === undefined) break;
  }
  return tools;
}

/** The newer protocol has no handshake: each request says for itself who asks (MCP 2026-07-28, versioning). */
async function discover(connection: Connection, options: AskOptions): Promise<ServerCard> {
  const started = performance.now();
  const transport = await connection.open();
  transport.setProtocolVersion?.(MODERN);
  const ask = createAsker(transport, options);
  try {
    await transport.start();
    const found = await ask('server/discover');
    const info = membersOf(
      found['serverInfo'] ?? membersOf(found['_meta'])['io.modelcontextprotocol/serverInfo'],
    );
    const offers = 'tools' in membersOf(found['capabilities']);
    const listed = offers ? (await ask('tools/list'))['tools'] : undefined;
    return {
      name: textOf(info['name'], 'unnamed'),
      version: textOf(info['version'], 'unknown'),
      protocol: MODERN,
      tools: Array.isArray(listed) ? listed.length : undefined,
      elapsedMs: performance.now() - started,
    };
  } finally {
    await transport.close();
  }
}

type Ask = (method: string) => Promise<Readonly<Record<string, unknown>>>;

function createAsker(transport: Transport, { version, timeoutMs }: AskOptions): Ask {
  const waiting = new Map<number, (message: JSONRPCMessage) => void>();
  // A transport of the SDK is no event target.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  transport.onmessage = (message) => {
    if ('id' in message) waiting.get(Number(message.id))?.(message);
  };
  let last = 0;
  return async (method) => {
    const id = (last += 1);
    const answered = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer in time')), timeoutMs);
      waiting.set(id, (message) => {
        clearTimeout(timer);
        if ('result' in message) resolve(membersOf(message.result));
        else reject(new Error(`${method} is refused`));
      });
    });
    answered.catch(() => {});
    const meta = {
      'io.modelcontextprotocol/protocolVersion': MODERN,
      'io.modelcontextprotocol/clientInfo': { name: CLIENT_NAME, version },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    await transport.send({ jsonrpc: '2.0', id, method, params: { _meta: meta } });
    return await answered;
  };
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  // Narrowed just before; what its members are is asked where they are used.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown, fallback: string): string {
  return typeof value === 'string' && value !== '' ? value : fallback;
}
