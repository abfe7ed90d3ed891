/**
 * A stdio server that does as it is told; run with `node`, never imported by a test. Settings in the environment:
 * - SCRIPT_LOG: a file that gets every byte of stdin as it came
 * - SCRIPT_PRESENCE: a loopback port that it stays connected to for as long as it lives; its first line tells who.
 *   When the other end closes the connection it exits, however stubborn: a test that fails leaves none behind
 * - SCRIPT_STUBBORN: ignores the end of stdin and SIGTERM
 * Requests are told apart by method, tools/call by tool: see `tools`.
 */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly arguments?: Readonly<Record<string, string>> };
  readonly result?: unknown;
  readonly error?: unknown;
}

const { SCRIPT_LOG: log, SCRIPT_PRESENCE: presence, SCRIPT_STUBBORN: stubborn } = process.env;

const send = (message: object): void => {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
};

const reply = (id: Message['id'], text: string): void => {
  send({ id, result: { content: [{ type: 'text', text }] } });
};

/** What waits for the client's answer: our id to the id of the call behind it. */
const asked = new Map<string, Message['id']>();

const tools: Readonly<Record<string, (id: Message['id'], args: Readonly<Record<string, string>>) => void>> = {
  echo: (id, args) => reply(id, args['text'] ?? ''),
  /** Never answers. */
  hang: () => undefined,
  /** Asks the client for a completion first, and answers with what the client said. */
  ask: (id) => {
    asked.set(`ask-${id}`, id);
    send({ id: `ask-${id}`, method: 'sampling/createMessage', params: { messages: [], maxTokens: 1 } });
  },
  exit: (_id, args) => process.exit(Number(args['code'] ?? 3)),
  noise: (id) => {
    process.stdout.write('Listening on stdio!\n');
    process.stderr.write('a word on stderr\n');
    reply(id, 'noisy');
  },
  /** Leaves a process behind that holds our stdout and ends with none of its pipes. */
  breed: (id) => {
    const child = spawn(process.execPath, [process.argv[1] ?? ''], {
      env: { ...process.env, SCRIPT_STUBBORN: '1', SCRIPT_NAME: 'grandchild', SCRIPT_LOG: '' },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('spawn', () => reply(id, 'bred'));
  },
};

function answer(message: Message): void {
  if (message.method === undefined) {
    const call = asked.get(String(message.id));
    reply(call, message.error === undefined ? 'answered' : 'refused');
  } else if (message.method === 'initialize') {
    send({
      id: message.id,
      result: { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's' } },
    });
  } else if (message.method === 'tools/call') {
    tools[message.params?.name ?? '']?.(message.id, message.params?.arguments ?? {});
  } else if (message.id !== undefined) {
    send({ id: message.id, result: {} });
  }
}

if (presence !== undefined) {
  const socket = connect(Number(presence), '127.0.0.1');
  socket.write(`${process.env['SCRIPT_NAME'] ?? 'child'}\n`);
  socket.on('close', () => process.exit(1));
}
if (stubborn === '1') {
  process.on('SIGTERM', () => send({ method: 'notifications/message', params: { data: 'got SIGTERM' } }));
  setInterval(() => undefined, 60_000);
}
const input = new PassThrough();
process.stdin.on('data', (chunk: Buffer) => {
  if (log !== undefined && log !== '') appendFileSync(log, chunk);
  input.write(chunk);
});
process.stdin.on('end', () => {
  if (stubborn !== '1') process.exit(0);
});
createInterface({ input }).on('line', (line) => answer(JSON.parse(line) as Message));
