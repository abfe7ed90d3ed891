/**
 * HTTP in front of a stdio server: a Streamable HTTP server in memory, whose messages are lines of processes that it
 * starts. To the door it is one more client of upstreams, so whatever the door does, it does here too; what happens
 * here is framing. What a process is started with stands in the configuration: no request can name any of it.
 */
import { createThrottle } from '../../telemetry/throttle.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import type { StdioUpstream, UpstreamClient, UpstreamRequest, UpstreamResult } from '../http/upstream.ts';
import { parseMessage, type Message } from '../message/message.ts';
import { schedule as realSchedule, type Schedule, type startChild } from '../stdio/child.ts';
import { failure } from './answer-stream.ts';
import { Backoff } from './backoff.ts';
import { LegacySessions } from './legacy.ts';
import { bridgeLimits, type BridgeLimits } from './limits.ts';
import { ModernProcesses } from './modern.ts';
import { Places } from './places.ts';

export interface BridgeOptions {
  readonly limits?: Partial<BridgeLimits> | undefined;
  /** Gets what processes write to stderr, too. */
  readonly diagnostics: Diagnostics;
  /** For tests: timers, a clock that never goes back, another way to start a process. */
  readonly schedule?: Schedule | undefined;
  readonly nowMs?: (() => number) | undefined;
  readonly start?: typeof startChild | undefined;
}

export interface Bridge extends UpstreamClient<StdioUpstream> {
  /** Ends the processes of servers that are not among these: they are not configured any more, or otherwise. */
  keepOnly(upstreams: ReadonlySet<StdioUpstream>): void;
  /** Ends the processes of servers of these names, which are stopped by hand; later requests start others. */
  endServers(names: ReadonlySet<string>): void;
}

/** Throws `config_invalid` for a limit out of its range. */
export function createBridge(options: BridgeOptions): Bridge {
  const { diagnostics, start, schedule = realSchedule, nowMs = () => performance.now() } = options;
  const limits = bridgeLimits(options.limits);
  const throttle = createThrottle(diagnostics);
  const room = { limits, schedule, diagnostics, throttle, start };
  const places = new Places(limits);
  const legacy = new LegacySessions(room, places);
  const modern = new ModernProcesses(room, places, new Backoff(nowMs));
  const end = (isMeant: (upstream: StdioUpstream) => boolean, code: string): void => {
    legacy.end(isMeant, code);
    modern.end(isMeant, code);
  };
  return {
    async send(request) {
      try {
        return await route(request, legacy, modern);
      } catch (error) {
        diagnostics.error(
          `server ${request.upstream.name}: a request failed inside the bridge: ${String(error)}`,
        );
        return failure('bridge_failed', true);
      }
    },
    keepOnly: (upstreams) => end((upstream) => !upstreams.has(upstream), 'server_changed'),
    endServers: (names) => end(({ name }) => names.has(name), 'killed'),
    async close() {
      await Promise.all([legacy.close(), modern.close()]);
      throttle.flush();
    },
  };
}

/** A message with the envelope of 2026-07-28 is modern, whatever its headers say; all else is legacy (versioning). */
function route(
  request: UpstreamRequest<StdioUpstream>,
  legacy: LegacySessions,
  modern: ModernProcesses,
): Promise<UpstreamResult> {
  const message = messageOf(request);
  if (message !== undefined && message.kind !== 'response' && message.call.modern) {
    return modern.send(request, message);
  }
  return legacy.send(request, message);
}

function messageOf({ message, body }: UpstreamRequest<StdioUpstream>): Message | undefined {
  if (message !== undefined || body === undefined) return message;
  // One that the proxy has made itself: the refusal of what a server has asked.
  const parsed = parseMessage(body);
  if (!parsed.ok) throw new Error(`a message of our own cannot be read: ${parsed.code}`);
  return parsed.message;
}
