/**
 * Whether a server's tools are still as somebody has looked at them. A server that was harmless when it was chosen can
 * describe its tools otherwise later (a rug pull, CVE-2025-54136), and what it writes there a model reads as if its user
 * had written it. So each definition that a model sees is compared with tools.lock.json on its way.
 *
 * It is enough to look at what passes: no client sees a definition that has not passed here. Each listing is judged
 * by itself, so a server cannot show one session what it hides from another; calls are judged by what the server has
 * listed last, to whomever.
 */
import { toolDigest } from './digest.ts';
import type { Catalogue, ListedTool } from '../lists/catalogue.ts';
import type { PinnedTools, ToolLock } from './lock.ts';
import { nearest } from './lock-change.ts';
import { newsOf, SeenTools, type Seen } from './seen.ts';

/**
 * What becomes of a tool that is not as it is pinned, or not pinned: `strict` takes it out of lists and denies its
 * calls, `warn` only records it; `off` compares nothing.
 */
export const PIN_MODES = ['strict', 'warn', 'off'] as const;

export type PinMode = (typeof PIN_MODES)[number];

/**
 * Changes of one server that are recorded one by one in CHANGES_WINDOW_MS; the rest are counted. The first change of a
 * pinned tool is recorded beside them: no flood of others hides it, and of pinned tools there are only so many.
 */
export const CHANGES_MAX = 100;
export const CHANGES_WINDOW_MS = 600_000;
/** The same definition of a tool is recorded again after this time. */
export const RETELL_MS = 3_600_000;

/** What is pinned and what follows from it. One value, so that another can take its place at once. */
export interface Pinning {
  readonly lock: ToolLock;
  readonly mode: (server: string) => PinMode;
}

export interface ToolPinsOptions {
  /** In force now. */
  readonly pinning: () => Pinning;
  /** Called for each change that is to be recorded. */
  readonly changed: (change: ToolChange) => void;
  readonly nowMs: () => number;
}

/** A tool that is not as it is pinned, when it is first listed so. */
export interface ToolChange {
  readonly server: string;
  readonly mode: Exclude<PinMode, 'off'>;
  /** undefined: only `suppressed` is told. */
  readonly tool?: {
    readonly name: string;
    readonly digest: string;
    /** The pinned definition that it is nearest to; undefined: the tool is not pinned. */
    readonly pinned: string | undefined;
    readonly difference: readonly string[];
  };
  /** Changes before this one that were too many to be recorded one by one. */
  readonly suppressed: number;
}

/** What is said of the tool of a call. */
export interface ToolStanding {
  /** Of its definition as last listed; undefined where none has been. */
  readonly digest: string | undefined;
  /** Why it must not be called; undefined: nothing speaks against it. */
  readonly refusal: 'tool_changed' | 'tool_unpinned' | undefined;
}

export interface ToolPins extends Catalogue {
  listed(server: string, tool: Pick<ListedTool, 'name' | 'definition'>): 'show' | 'hide';
  /** What is to be said of a tool that is called. */
  standing(server: string, tool: string): ToolStanding;
  /** Tells of changes that were only counted, once their window is over. */
  flush(): void;
  /** Tells of all that were only counted. */
  close(): void;
}

interface Server {
  readonly tools: SeenTools;
  windowMs: number;
  recorded: number;
  suppressed: number;
}

/** Servers are those of the configuration, so there is no end of them to fear. */
export function createToolPins(options: ToolPinsOptions): ToolPins {
  const servers = new Map<string, Server>();
  const serverOf = (name: string): Server => {
    const fresh = { tools: new SeenTools(), windowMs: options.nowMs(), recorded: 0, suppressed: 0 };
    const server = servers.get(name) ?? fresh;
    servers.set(name, server);
    return server;
  };
  const flush = (isDue: (server: Server) => boolean): void => {
    for (const [name, server] of servers) {
      const mode = options.pinning().mode(name);
      if (server.suppressed > 0 && mode !== 'off' && isDue(server)) {
        tell(options, server, { server: name, mode });
      }
    }
  };
  return {
    listed(name, { name: tool, definition }) {
      const digest = toolDigest(definition);
      const { lock, mode: modeOf } = options.pinning();
      const [pins, mode] = [lock.get(name) ?? NO_PINS, modeOf(name)];
      const server = serverOf(name);
      const seen = server.tools.note(tool, digest, pins);
      const pinned = pins.get(tool) ?? [];
      if (mode === 'off' || pinned.some((entry) => entry.digest === digest)) return 'show';
      if (isDue(server, { seen, isPinned: pinned.length > 0, nowMs: options.nowMs() })) {
        const change = { name: tool, digest, ...nearest(pinned, definition) };
        tell(options, server, { server: name, mode, tool: change });
      }
      return mode === 'strict' ? 'hide' : 'show';
    },
    standing(name, tool) {
      const digest = servers.get(name)?.tools.get(tool)?.digest;
      const { lock, mode } = options.pinning();
      if (mode(name) !== 'strict') return { digest, refusal: undefined };
      const pinned = lock.get(name)?.get(tool);
      if (pinned === undefined) return { digest, refusal: 'tool_unpinned' };
      // Not listed since we were started: the client has its list from before, and that has passed here as well.
      const stands = digest === undefined || pinned.some((entry) => entry.digest === digest);
      return { digest, refusal: stands ? undefined : 'tool_changed' };
    },
    flush: () => flush((server) => options.nowMs() - server.windowMs >= CHANGES_WINDOW_MS),
    close: () => flush(() => true),
  };
}

const NO_PINS: PinnedTools = new Map();

interface Sighting {
  /** undefined where the tool cannot be remembered. */
  readonly seen: Seen | undefined;
  readonly isPinned: boolean;
  readonly nowMs: number;
}

/** Whether a definition that is not pinned is recorded by itself; else it is known, or only counted. */
function isDue(server: Server, { seen, isPinned, nowMs }: Sighting): boolean {
  const news = seen === undefined ? 'again' : newsOf(seen, nowMs, RETELL_MS);
  if (news === 'known') return false;
  if (news === 'first' && isPinned) return true;
  if (nowMs - server.windowMs >= CHANGES_WINDOW_MS) Object.assign(server, { windowMs: nowMs, recorded: 0 });
  if (server.recorded >= CHANGES_MAX) {
    server.suppressed += 1;
    return false;
  }
  server.recorded += 1;
  return true;
}

function tell(options: ToolPinsOptions, server: Server, change: Omit<ToolChange, 'suppressed'>): void {
  const { suppressed } = server;
  server.suppressed = 0;
  options.changed({ ...change, suppressed });
}
