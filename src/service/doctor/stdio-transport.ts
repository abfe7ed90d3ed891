/** A child as a transport of the SDK: started, and ended as a whole group, by what starts the child of `wrap`. */
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { schedule, startChild, type ChildCommand, type ChildEnd } from '../../proxy/stdio/child.ts';

export interface StdioTransport extends Transport {
  /** The last line on stderr that speaks of an error, else the last one; empty where there is none. */
  lastWords(): string;
  /** How it ended; undefined before it has. */
  end(): ChildEnd | undefined;
}

/** Of stderr; only its last line is shown. */
const STDERR_CHARS_MAX = 4096;
/** From the end of its stdin: somebody waits for what doctor says. */
const EXIT_GRACE_MS = 2000;

/**
 * @param command started by `start`, which rejects with VerdictError command_failed
 * @param signal aborted, the child is ended
 */
export async function createStdioTransport(
  command: ChildCommand,
  signal: AbortSignal,
): Promise<StdioTransport> {
  const { ReadBuffer, serializeMessage } = await import('@modelcontextprotocol/sdk/shared/stdio.js');
  let child: Awaited<ReturnType<typeof startChild>> | undefined;
  let end: ChildEnd | undefined;
  let stderr = '';
  const transport: StdioTransport = {
    lastWords() {
      const lines = stderr.trim().split('\n');
      return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '';
    },
    end: () => end,
    async start() {
      const started = await startChild(command, { exitGraceMs: EXIT_GRACE_MS, schedule });
      child = started;
      const stop = (): void => void transport.close();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      const lines = new ReadBuffer();
      started.stdout.on('data', (chunk: Buffer) => {
        try {
          lines.append(chunk);
          deliver(lines, transport);
        } catch (error) {
          transport.onerror?.(error instanceof Error ? error : new Error(String(error)));
        }
      });
      started.stderr.on('data', (chunk: Buffer) => {
        stderr = `${stderr}${chunk.toString('utf8')}`.slice(-STDERR_CHARS_MAX);
      });
      // What we write to a child that has gone is its end, which is told below.
      started.stdin.on('error', () => {});
      void started.ended.then((ended) => {
        end = ended;
        signal.removeEventListener('abort', stop);
        transport.onclose?.();
      });
    },
    async send(message) {
      child?.stdin.write(serializeMessage(message));
    },
    async close() {
      child?.stdin.end();
      child?.stop();
      await child?.ended;
    },
  };
  return transport;
}

interface Messages {
  readMessage(): JSONRPCMessage | null;
}

/** A line that is no message is told and left out; servers print what does not belong on stdout. */
function deliver(lines: Messages, transport: Transport): void {
  for (;;) {
    try {
      const message = lines.readMessage();
      if (message === null) return;
      transport.onmessage?.(message);
    } catch (error) {
      transport.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
