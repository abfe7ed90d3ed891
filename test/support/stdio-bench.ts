/** A stdio relay with a scripted gate and sinks in place of its pipes. */
import { type Line, createLineSplitter } from '../../src/proxy/stdio/line-splitter.ts';
import type { LineWriter } from '../../src/proxy/stdio/line-stream.ts';
import type { Sent } from '../../src/proxy/stdio/peer.ts';
import type { StdioLimits } from '../../src/proxy/stdio/limits.ts';
import { type StdioRelay, createStdioRelay } from '../../src/proxy/stdio/relay.ts';
import { ORIGIN, type Notes, type ScriptedGate, notes } from './stdio-fixtures.ts';

export interface Sink extends LineWriter {
  readonly got: string[];
  /** What came with each line. */
  readonly sent: (Sent | undefined)[];
  /** While set, writes wait for it. */
  hold: Promise<void> | undefined;
  broken: boolean;
}

function sink(): Sink {
  const self: Sink = {
    got: [],
    sent: [],
    hold: undefined,
    broken: false,
    flushed: 0,
    async write(framed: Uint8Array, sent?: Sent) {
      if (self.broken) return false;
      self.got.push(Buffer.from(framed).toString());
      self.sent.push(sent);
      if (self.hold !== undefined) await self.hold;
      return true;
    },
    flush: () => Promise.resolve(),
    end: () => undefined,
  };
  return self;
}

export interface Bench {
  readonly relay: StdioRelay;
  readonly client: Sink;
  readonly upstream: Sink;
  readonly diagnostics: Notes;
  /** Feeds lines and waits until both lanes are idle. */
  up(...messages: readonly (object | string)[]): Promise<void>;
  down(...messages: readonly (object | string)[]): Promise<void>;
}

export function bench(gate: ScriptedGate, limits: StdioLimits = {}): Bench {
  const client = sink();
  const upstream = sink();
  const diagnostics = notes();
  const relay = createStdioRelay({
    gate,
    origin: (claimed) => ({ ...ORIGIN, claimed }),
    limits,
    diagnostics,
    toClient: client,
    toUpstream: upstream,
  });
  const idle = async (): Promise<void> => {
    await relay.idle('to_upstream');
    await relay.idle('to_client');
  };
  return {
    relay,
    client,
    upstream,
    diagnostics,
    up: (...messages) => {
      for (const line of messages.flatMap((message) => lines(message, limits))) void relay.fromClient(line);
      return idle();
    },
    down: (...messages) => {
      for (const line of messages.flatMap((message) => lines(message, limits))) void relay.fromUpstream(line);
      return idle();
    },
  };
}

export function wire(message: object | string): string {
  return typeof message === 'string' ? `${message}\n` : `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`;
}

export function lines(message: object | string, limits: StdioLimits): Line[] {
  return createLineSplitter(limits.lineBytesMax ?? 10_000).push(Buffer.from(wire(message)));
}
