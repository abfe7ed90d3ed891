/**
 * A stdio server of the soak, small so that many can be started; knows both eras. Notes the trace of each tool call that
 * reaches it in the file that it is given, one a line. `die` ends it without an answer.
 */
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: {
    readonly name?: string;
    readonly requestId?: string | number;
    readonly arguments?: { readonly text?: string; readonly ms?: number };
    readonly protocolVersion?: string;
    readonly _meta?: { readonly traceparent?: string };
  };
}

const [, , seen = ''] = process.argv;
const running = new Map<string | number, AbortController>();

const texts = (text: string) => ({ content: [{ type: 'text', text }] });

async function resultOf({ id = '', method, params = {} }: Message): Promise<object | undefined> {
  if (method === 'initialize') {
    const serverInfo = { name: 'soak', version: '1.0.0' };
    return { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo };
  }
  if (method !== 'tools/call') return {};
  appendFileSync(seen, `${params._meta?.traceparent?.split('-')[1] ?? 'none'}\n`);
  if (params.name === 'die') process.exit(1);
  if (params.name !== 'slow') return texts(params.arguments?.text ?? '');
  const controller = new AbortController();
  running.set(id, controller);
  try {
    await pause(params.arguments?.ms, undefined, { signal: controller.signal });
  } catch {
    // Taken back, so nobody waits for the answer.
    return undefined;
  } finally {
    running.delete(id);
  }
  return texts('slept');
}

async function answer(message: Message): Promise<void> {
  if (message.method === 'notifications/cancelled') running.get(message.params?.requestId ?? '')?.abort();
  if (message.id === undefined) return;
  const result = await resultOf(message);
  if (result !== undefined)
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, result })}\n`);
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => void answer(JSON.parse(line) as Message));
// What still sleeps must not keep the process.
lines.on('close', () => process.exit(0));
