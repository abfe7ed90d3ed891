/** An MCP client over a process's pipes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { callText, type HttpCalls } from './http-client.ts';
import { plainEnvironment } from '../support/cli.ts';

export interface StdioClient {
  /** Makes one tool call. Rejects where it is not answered as it should. */
  readonly call: () => Promise<void>;
  readonly pid: number | undefined;
  close(): Promise<void>;
}

export interface StdioCalls extends Pick<HttpCalls, 'textOf' | 'expected'> {
  /** What is said before the first call; answers to it are not waited for. */
  readonly greeting: readonly string[];
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const SHIPPED: StdioCalls = { textOf: callText, expected: () => '"result"', greeting: [] };

/** Starts a server and calls it. */
export function startStdioClient(
  command: string,
  args: readonly string[],
  calls: StdioCalls = SHIPPED,
): StdioClient {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: plainEnvironment() });
  const waiting = new Map<number, Waiter>();
  let last = 0;
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { id, result } = JSON.parse(line) as { id: number; result?: { isError?: boolean } };
      const waiter = waiting.get(id);
      waiting.delete(id);
      const good = result !== undefined && result.isError !== true && line.includes(calls.expected(id));
      if (good) waiter?.resolve();
      else waiter?.reject(new Error(line));
    }
  });
  const ended = once(child, 'close').then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`${command} ended`));
  });
  for (const line of calls.greeting) child.stdin.write(`${line}\n`);
  return {
    pid: child.pid,
    call: () =>
      new Promise((resolve, reject) => {
        last += 1;
        waiting.set(last, { resolve, reject });
        child.stdin.write(`${calls.textOf(last)}\n`);
      }),
    async close() {
      child.stdin.end();
      await ended;
    },
  };
}
