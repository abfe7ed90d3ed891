/** What the tests of the stdio door share: a gate to script, a client's end of the pipes, a clock to turn. */
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Schedule } from '../../src/proxy/stdio/child.ts';
import type { Direction, Gate, Governable, Origin } from '../../src/proxy/gate.ts';
import type { Outcome, Rejection, Ruling } from '../../src/proxy/gate.ts';
import type { Diagnostics } from '../../src/telemetry/diagnostics.ts';
import { within } from './within.ts';

export const SCRIPTED_SERVER = fileURLToPath(new URL('scripted-stdio-server.ts', import.meta.url));

export const ORIGIN: Origin = {
  server: { name: 'files' },
  transport: 'pipe',
  identity: { source: 'stdio' },
  claimed: {},
};

export interface Asked {
  readonly message: Governable;
  readonly origin: Origin;
  readonly direction: Direction;
}

/** A gate that says what `allows` says, and remembers. */
export interface ScriptedGate extends Gate {
  readonly asked: Asked[];
  readonly rejected: Rejection[];
  /** Outcomes in the order they came, each `ID STATUS ERROR-TYPE`. */
  readonly settled: string[];
  readonly outcomes: Outcome[];
}

export function scriptedGate(
  allows: (asked: Asked) => boolean | Promise<boolean> = () => true,
  lists: Partial<Pick<Gate, 'show' | 'listChanges' | 'killSwitch'>> = {},
): ScriptedGate {
  const gate: ScriptedGate = {
    asked: [],
    rejected: [],
    settled: [],
    outcomes: [],
    async decide(message, origin, direction): Promise<Ruling> {
      const asked = { message, origin, direction };
      gate.asked.push(asked);
      const id = message.kind === 'request' ? message.id.json : null;
      if (!(await allows(asked))) {
        const body =
          id === null
            ? undefined
            : Buffer.from(`{"jsonrpc":"2.0","id":${id},"error":{"code":1,"message":"no"}}`);
        return { forward: false, answer: { httpStatus: 200, body } };
      }
      const settle = (outcome: Outcome): void => {
        gate.settled.push(
          [id, outcome.status, outcome.errorType].filter((part) => part !== undefined).join(' '),
        );
        gate.outcomes.push(outcome);
      };
      return {
        forward: true,
        asked: { method: message.method, modern: false, protocolVersion: undefined },
        trace: { traceparent: '' },
        settle,
      };
    },
    show: (bytes) => ({ ok: true, bytes }),
    ...lists,
    reject(rejection) {
      gate.rejected.push(rejection);
      const id = rejection.id?.json ?? 'null';
      return {
        httpStatus: 400,
        body: Buffer.from(`{"jsonrpc":"2.0","id":${id},"error":{"code":2,"message":"bad"}}`),
      };
    },
  };
  return gate;
}

export interface Notes extends Diagnostics {
  readonly lines: string[];
}

export function notes(): Notes {
  const lines: string[] = [];
  const note = (text: string): void => void lines.push(text);
  return { lines, error: note, warn: note, info: note, debug: note };
}

/** The client's end of a door: what it writes, and the lines it gets. */
export class Client {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly got: string[] = [];
  #waiting: (() => void) | undefined;

  constructor() {
    const lines = createInterface({ input: this.stdout });
    lines.on('line', (line) => {
      this.got.push(line);
      this.#waiting?.();
    });
    // It hands on the errors of its input, which are the door's to handle.
    lines.on('error', () => undefined);
  }

  send(...messages: readonly (object | string)[]): void {
    for (const message of messages) {
      this.stdin.write(
        typeof message === 'string' ? message : `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`,
      );
    }
  }

  /** The first line that holds the text; waits for it. */
  async line(text: string): Promise<string> {
    for (;;) {
      const found = this.got.find((line) => line.includes(text));
      if (found !== undefined) return found;
      const next = new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
      await within(`a line with ${text}, after ${this.got.length} others`, next);
    }
  }
}

export function call(id: number | string, name: string, args: Readonly<Record<string, string>> = {}): object {
  return { id, method: 'tools/call', params: { name, arguments: args } };
}

/** A clock that stands still until it is turned. */
export interface ManualClock {
  readonly schedule: Schedule;
  nowMs(): number;
  /** How long each of those that wait has still to wait. */
  readonly waiting: readonly number[];
  turn(ms: number): void;
}

export function manualClock(): ManualClock {
  let nowMs = 0;
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  return {
    nowMs: () => nowMs,
    schedule(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    get waiting() {
      return [...timers].map(({ atMs }) => atMs - nowMs);
    },
    turn(ms) {
      nowMs += ms;
      for (const timer of [...timers].filter(({ atMs }) => atMs <= nowMs)) {
        timers.delete(timer);
        timer.run();
      }
    },
  };
}

/** Sees processes come and go: a scripted server holds a connection for as long as it lives. */
export interface Presence {
  readonly port: string;
  /** Resolves when a process of that name has come. */
  arrived(name: string): Promise<void>;
  /** Resolves when it has died. */
  gone(name: string): Promise<void>;
  /** Ends whoever is still there. */
  close(): void;
}

export async function watchPresence(): Promise<Presence> {
  const arrivals = new Map<string, PromiseWithResolvers<void>>();
  const departures = new Map<string, PromiseWithResolvers<void>>();
  const of = (map: typeof arrivals, name: string): PromiseWithResolvers<void> => {
    const known = map.get(name) ?? Promise.withResolvers<void>();
    map.set(name, known);
    return known;
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (data: Buffer) => {
      const name = data.toString().trim();
      of(arrivals, name).resolve();
      socket.once('close', () => of(departures, name).resolve());
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  return {
    port: String(typeof address === 'object' ? address?.port : ''),
    arrived: (name) => within(`${name} has come`, of(arrivals, name).promise),
    gone: (name) => within(`${name} has gone`, of(departures, name).promise),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
