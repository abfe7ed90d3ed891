/**
 * Asks a server who it is and what tools it has: in the older protocol with `initialize`, in the newer one with
 * `server/discover`.
 */
import { isObject } from '../../event/json.ts';
import type { Json } from '../../event/json.ts';
import { MODERN, Refused, type Conversation, type Members } from './conversation.ts';

export interface ServerCard {
  readonly name: string;
  readonly version: string;
  readonly protocol: string;
  /** As they were listed; undefined: it has none to offer. */
  readonly tools: readonly Members[] | undefined;
  /** Until it had answered. */
  readonly elapsedMs: number;
}

export interface AskOptions {
  /** Called for each attempt; what it gives is closed after. */
  readonly open: () => Promise<Conversation> | Conversation;
  /** What we are called. */
  readonly client: { readonly name: string; readonly version: string };
}

/** Pages of a list; a server that never ends its list is not read to the end. */
const PAGES_MAX = 100;
const LEGACY = '2025-11-25';

/**
 * All that a client can be capable of: some servers have tools only for those who are. What they ask for is refused.
 */
const CAPABILITIES = { roots: { listChanged: true }, sampling: {}, elicitation: { form: {}, url: {} } };

/** Of 2025-11-25 alone; an extension since. */
const TASKS = {
  list: {},
  cancel: {},
  requests: { sampling: { createMessage: {} }, elicitation: { create: {} } },
};

/** Rejects with what the server answered to `initialize`, where it does not speak the newer protocol either. */
export async function askServer(options: AskOptions): Promise<ServerCard> {
  try {
    return await initialize(options);
  } catch (error) {
    // Whoever is silent, gone or not there is not asked twice.
    if (!(error instanceof Refused)) throw error;
    try {
      return await discover(options);
    } catch {
      throw error;
    }
  }
}

/** The cards that it shows in each protocol, one at least. Rejects as `askServer`. */
export async function askServerInAll(options: AskOptions): Promise<readonly ServerCard[]> {
  const first = await askServer(options);
  if (first.protocol === MODERN) return [first];
  try {
    return [first, await discover(options, PROBE_TIMEOUT_MS)];
  } catch (error) {
    // Most servers speak only one, and say so in ways of their own, silence among them.
    if (error instanceof NotSpoken) return [first];
    throw error;
  }
}

/** How long a server that has answered in one protocol is given to answer in the other. */
const PROBE_TIMEOUT_MS = 5000;

/** The server does not speak the newer protocol. */
class NotSpoken extends Error {
  override readonly name = 'NotSpoken';
}

async function within<T>({ open }: AskOptions, talk: (conversation: Conversation) => Promise<T>): Promise<T> {
  const conversation = await open();
  try {
    return await talk(conversation);
  } finally {
    await conversation.close();
  }
}

function initialize(options: AskOptions): Promise<ServerCard> {
  const started = performance.now();
  return within(options, async (conversation) => {
    const found = await conversation.ask('initialize', {
      protocolVersion: LEGACY,
      capabilities: { ...CAPABILITIES, tasks: TASKS },
      clientInfo: options.client,
    });
    const protocol = textOf(found.get('protocolVersion'), 'unknown');
    conversation.agree(protocol);
    await conversation.notify('notifications/initialized');
    const tools = await toolsOf(conversation, found, {});
    return { ...nameOf(found.get('serverInfo')), protocol, tools, elapsedMs: performance.now() - started };
  });
}

/** The newer protocol has no handshake: each request says for itself who asks (MCP 2026-07-28, versioning). */
function discover(options: AskOptions, timeoutMs?: number): Promise<ServerCard> {
  const started = performance.now();
  return within(options, async (conversation) => {
    conversation.agree(MODERN);
    const params = {
      _meta: {
        'io.modelcontextprotocol/protocolVersion': MODERN,
        'io.modelcontextprotocol/clientInfo': options.client,
        'io.modelcontextprotocol/clientCapabilities': CAPABILITIES,
      },
    };
    const found = await conversation.ask('server/discover', params, timeoutMs).catch((cause: unknown) => {
      throw new NotSpoken('no answer to server/discover', { cause });
    });
    const info =
      found.get('serverInfo') ?? membersOf(found.get('_meta')).get('io.modelcontextprotocol/serverInfo');
    const tools = await toolsOf(conversation, found, params);
    return { ...nameOf(info), protocol: MODERN, tools, elapsedMs: performance.now() - started };
  });
}

/** All pages of its list, where it says that it has tools. */
async function toolsOf(
  conversation: Conversation,
  found: Members,
  params: object,
): Promise<readonly Members[] | undefined> {
  if (!membersOf(found.get('capabilities')).has('tools')) return undefined;
  const tools: Members[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const listed = await conversation.ask(
      'tools/list',
      cursor === undefined ? params : { ...params, cursor },
    );
    const items = listed.get('tools');
    if (!Array.isArray(items)) throw new Error('its list of tools is none');
    tools.push(...items.filter(isObject));
    const next = listed.get('nextCursor');
    if (typeof next !== 'string') return tools;
    cursor = next;
  }
  throw new Error(`its list of tools does not end within ${PAGES_MAX} pages`);
}

function nameOf(info: Json | undefined): Pick<ServerCard, 'name' | 'version'> {
  const members = membersOf(info);
  return { name: textOf(members.get('name'), 'unnamed'), version: textOf(members.get('version'), 'unknown') };
}

function membersOf(value: Json | undefined): Members {
  return isObject(value) ? value : NOTHING;
}

const NOTHING: Members = new Map();

function textOf(value: Json | undefined, fallback: string): string {
  return typeof value === 'string' && value !== '' ? value : fallback;
}
