/** A conversation over Streamable HTTP (MCP 2025-11-25 and 2026-07-28, transports). */
import { createSseSplitter } from '../../proxy/message/sse.ts';
import { ANSWER_BYTES_MAX, hear, MODERN, notificationText, Refused, requestText } from './conversation.ts';
import type { Conversation, Members } from './conversation.ts';

export interface HttpConversationOptions {
  readonly url: URL;
  /** Sent with everything; may hold secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** For each answer. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export function openHttpConversation(options: HttpConversationOptions): Conversation {
  const state: State = { ...options, session: undefined, version: undefined };
  let last = 0;
  return {
    async ask(method, params, timeoutMs = options.timeoutMs) {
      const id = (last += 1);
      const response = await post({ ...state, timeoutMs }, requestText(id, method, params), method);
      state.session ??= response.headers.get('mcp-session-id') ?? undefined;
      const isStream = /text\/event-stream/i.test(response.headers.get('content-type') ?? '');
      const result = isStream ? await fromStream(state, response, id) : await fromBody(response, id);
      if (result === undefined) throw new Error('it sends no answer');
      return result;
    },
    async notify(method) {
      const response = await post(state, notificationText(method), method);
      await response.body?.cancel();
    },
    agree(protocolVersion) {
      state.version = protocolVersion;
    },
    async close() {
      if (state.session === undefined) return;
      const response = await send(state, { method: 'DELETE' }).catch(() => undefined);
      await response?.body?.cancel().catch(() => {});
    },
  };
}

interface State extends HttpConversationOptions {
  session: string | undefined;
  version: string | undefined;
}

/** Rejects with Refused for an HTTP status that is no success, with whatever fetch throws where there is no answer. */
async function post(state: State, body: string, mcpMethod: string): Promise<Response> {
  const headers = {
    'content-type': 'application/json',
    // The newer revision wants the method outside too (MCP 2026-07-28, Streamable HTTP).
    ...(state.version === MODERN ? { 'mcp-method': mcpMethod } : {}),
  };
  const response = await send(state, { method: 'POST', headers, body });
  if (response.ok) return response;
  await response.body?.cancel();
  throw new Refused(`HTTP ${response.status}`, response.status);
}

function send(
  { url, headers, session, version, timeoutMs, signal }: State,
  init: RequestInit,
): Promise<Response> {
  return fetch(url, {
    ...init,
    headers: {
      accept: 'application/json, text/event-stream',
      ...(init.headers as Record<string, string>),
      ...(session === undefined ? {} : { 'mcp-session-id': session }),
      ...(version === undefined ? {} : { 'mcp-protocol-version': version }),
      ...headers,
    },
    // The proxy follows no redirect either: what is configured is asked, and nobody else.
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
}

async function fromBody(response: Response, id: number): Promise<Members | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) throw new Error(`its answer is larger than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const heard = hear(Buffer.concat(chunks));
  return heard.kind === 'answer' && heard.id === String(id) ? heard.result() : undefined;
}

/** Reads a stream up to the answer; what the server asks in between is refused, so that it need not wait for us. */
async function fromStream(state: State, response: Response, id: number): Promise<Members | undefined> {
  const splitter = createSseSplitter({ eventBytesMax: ANSWER_BYTES_MAX });
  // Leaving the loop early ends the connection.
  for await (const chunk of response.body ?? []) {
    for (const { data } of splitter.push(chunk)) {
      if (data === undefined || data === '') continue;
      const heard = hear(Buffer.from(data));
      if (heard.kind === 'answer' && heard.id === String(id)) return heard.result();
      if (heard.kind === 'request') await reply(state, heard.reply);
    }
  }
  return undefined;
}

async function reply(state: State, body: string): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await send(state, { method: 'POST', headers, body }).catch(() => undefined);
  await response?.body?.cancel().catch(() => {});
}
