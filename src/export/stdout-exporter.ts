/**
 * Writes records to stdout, a line each, for whoever collects the output of containers. They are acknowledged when the
 * system has them: what becomes of them then nobody says.
 */
import { fstatSync, write } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { codeOf } from '../spool/system-error.ts';
import { DeliveryError } from './acknowledgement.ts';
import { createDirectExporter } from './direct-exporter.ts';
import type { Exporter } from './direct-exporter.ts';
import { formatOf } from './encoding.ts';
import { systemTimers } from './timers.ts';
import type { Timers } from './timers.ts';

export interface StdoutSettings {
  /** One of FORMAT_NAMES. */
  readonly format: string;
}

/** Where the lines go; a test puts its own in. */
export interface Output {
  /** Resolves when the system has all of it. */
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

export interface StdoutOptions {
  readonly settings: StdoutSettings;
  readonly open?: (() => Output) | undefined;
}

/**
 * A reader that rests is waited for: what was written before it woke would be written again, in the middle of a line.
 * Twice as long still fits a timer.
 */
const TIMEOUT_MS = 2 ** 30 - 1;

const STDOUT = 1;

/** @throws VerdictError config_invalid for a format that is none */
export function createStdoutExporter({ settings, open = openStdout }: StdoutOptions): Exporter {
  const format = formatOf(settings.format);
  let output: Output | undefined;
  let torn = false;

  const send = async (text: string): Promise<void> => {
    output ??= open();
    try {
      // Ends whatever was cut off in the middle of a line.
      const bytes = Buffer.from(torn ? `\n${text}` : text);
      torn = true;
      await output.write(bytes);
      torn = false;
    } catch (error) {
      output.close();
      output = undefined;
      throw trouble(error);
    }
  };
  return createDirectExporter({
    endpoint: 'stdout',
    timeoutMs: TIMEOUT_MS,
    encode: (records) => records.map((record) => `${format.encode(record)}\n`).join(''),
    send,
    shutdown: async () => output?.close(),
  });
}

function trouble(error: unknown): DeliveryError {
  const text =
    codeOf(error) === 'EPIPE'
      ? 'nobody reads stdout any more (EPIPE): start again what reads it, and mcp-verdict with it'
      : `stdout cannot be written: ${error instanceof Error ? error.message : String(error)}`;
  return new DeliveryError({ kind: 'retry', text, alarm: true });
}

/**
 * A pipe is written to as a socket, so that a reader who rests blocks no thread; the rest takes what it gets at once.
 * libuv never closes the first three file descriptors, so what is closed here is only our end of the bookkeeping.
 */
function openStdout(): Output {
  const stat = fstatSync(STDOUT);
  if (!stat.isFIFO() && !stat.isSocket()) return descriptorOutput();
  const socket = new Socket({ fd: STDOUT, readable: false, writable: true });
  let broken: Error | undefined;
  socket.on('error', (error) => (broken = error));
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        const end = (error: Error): void => reject(broken ?? error);
        socket.once('close', () => end(new Error('it was closed')));
        socket.write(bytes, (error) => {
          socket.removeAllListeners('close');
          if (error === undefined || error === null) resolve();
          else end(error);
        });
      }),
    close: () => void socket.destroy(),
  };
}

const writeAsync = promisify(write);

/** At the file's own position: others may write to it too. */
async function writeSome(bytes: Uint8Array): Promise<number> {
  return (await writeAsync(STDOUT, bytes, 0, bytes.length, null)).bytesWritten;
}

/** Somebody else may have made the terminal one that takes what it can and no more. */
const AGAIN_MS = 20;

/** @param take writes as much as it can, and says how much; a test puts its own in */
export function descriptorOutput(
  take: (bytes: Uint8Array) => Promise<number> = writeSome,
  timers: Timers = systemTimers,
): Output {
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length;) {
        try {
          at += await take(bytes.subarray(at));
        } catch (error) {
          if (codeOf(error) !== 'EAGAIN') throw error;
          await new Promise<void>((resolve) => timers.after(AGAIN_MS, resolve));
        }
      }
    },
    close: () => {},
  };
}
