/** A conversation with a child over stdio: started, and ended as a whole group, by what starts the child of `wrap`. */
import {
  schedule,
  startChild,
  type Child,
  type ChildCommand,
  type ChildEnd,
} from '../../proxy/stdio/child.ts';
import { createLineSplitter } from '../../proxy/stdio/line-splitter.ts';
import { ANSWER_BYTES_MAX, hear, notificationText, requestText } from './conversation.ts';
import type { Conversation, Members } from './conversation.ts';

export interface StdioConversation extends Conversation {
  /** The last line on stderr that speaks of an error, else the last one; empty where there is none. */
  lastWords(): string;
  /** How it ended; undefined before it has. */
  end(): ChildEnd | undefined;
}

export interface StdioConversationOptions {
  /** For each answer. */
  readonly timeoutMs: number;
  /** Aborted, the child is ended. */
  readonly signal: AbortSignal;
}

/** Of stderr; only its last lines are shown. */
const STDERR_CHARS_MAX = 4096;
/** From the end of its stdin: somebody waits for us. */
const EXIT_GRACE_MS = 2000;

/** Rejects with VerdictError command_failed. */
export async function openStdioConversation(
  command: ChildCommand,
  options: StdioConversationOptions,
): Promise<StdioConversation> {
  const child = await startChild(command, { exitGraceMs: EXIT_GRACE_MS, schedule });
  const waiting = new Map<string, Waiting>();
  const ending = followEnd(child, waiting, options.signal);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = `${stderr}${chunk.toString('utf8')}`.slice(-STDERR_CHARS_MAX);
  });
  listen(child, waiting);
  let last = 0;
  return {
    ask(method, params, timeoutMs = options.timeoutMs) {
      const id = (last += 1);
      const answered = answerOf(String(id), waiting, timeoutMs);
      if (ending.end === undefined) write(child, requestText(id, method, params));
      else waiting.get(String(id))?.fail(new Error(GONE));
      return answered;
    },
    notify(method) {
      write(child, notificationText(method));
      return Promise.resolve();
    },
    // Each message says it for itself, or the handshake has.
    agree() {},
    async close() {
      await ending.stop();
    },
    lastWords() {
      const lines = stderr.trim().split('\n');
      return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '';
    },
    end: () => ending.end,
  };
}

const GONE = 'its process has ended';

interface Waiting {
  readonly take: (result: () => Members) => void;
  readonly fail: (error: Error) => void;
}

function answerOf(id: string, waiting: Map<string, Waiting>, timeoutMs: number): Promise<Members> {
  return new Promise((resolve, reject) => {
    const callOff = schedule(timeoutMs, () => fail(new DOMException('no answer in time', 'TimeoutError')));
    const done = (): void => {
      callOff();
      waiting.delete(id);
    };
    const fail = (error: Error): void => {
      done();
      reject(error);
    };
    waiting.set(id, {
      fail,
      take(result) {
        done();
        try {
          resolve(result());
        } catch (error) {
          reject(error);
        }
      },
    });
  });
}

/** What is no answer and no request is left out: servers print what does not belong on stdout. */
function listen(child: Child, waiting: ReadonlyMap<string, Waiting>): void {
  const splitter = createLineSplitter(ANSWER_BYTES_MAX);
  child.stdout.on('data', (chunk: Buffer) => {
    for (const line of splitter.push(chunk)) {
      if (line.kind !== 'line') continue;
      const heard = hear(line.content);
      if (heard.kind === 'answer') waiting.get(heard.id)?.take(heard.result);
      else if (heard.kind === 'request') write(child, heard.reply);
    }
  });
}

function write(child: Child, message: string): void {
  child.stdin.write(`${message}\n`);
}

interface Ending {
  end: ChildEnd | undefined;
  readonly stop: () => Promise<unknown>;
}

function followEnd(child: Child, waiting: ReadonlyMap<string, Waiting>, signal: AbortSignal): Ending {
  const stop = (): Promise<unknown> => {
    child.stdin.end();
    child.stop();
    return child.ended;
  };
  const ending: Ending = { end: undefined, stop };
  const onAbort = (): void => void stop();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  // What we write to a child that has gone is its end, which is told below.
  child.stdin.on('error', () => {});
  void child.ended.then((end) => {
    ending.end = end;
    signal.removeEventListener('abort', onAbort);
    for (const { fail } of waiting.values()) fail(new Error(GONE));
  });
  return ending;
}
