/** What one server last listed, by tool. Bounded, whatever a server lists. */
import { copied } from '../../event/text.ts';
import type { PinnedTools } from './lock.ts';

/** Tools of one server that are remembered without being pinned; when there are more, the one listed longest ago goes. */
export const UNPINNED_MAX = 1000;
/** UTF-16 units of a tool's name; of a longer one nothing is remembered, unless it is pinned. Names have up to 128 (MCP 2025-11-25, tools). */
export const TOOL_NAME_LENGTH_MAX = 1024;
/** Definitions of one tool that are remembered as told of; the oldest goes. */
export const TOLD_MAX = 8;

export interface Seen {
  digest: string;
  /** Milliseconds at which a record was made of a definition, by its digest. */
  readonly told: Map<string, number>;
}

export class SeenTools {
  /** Never driven out by what else is listed, or a server could make a change be forgotten. No more than are pinned. */
  readonly #pinned = new Map<string, Seen>();
  readonly #others = new Map<string, Seen>();

  get(tool: string): Seen | undefined {
    return this.#pinned.get(tool) ?? this.#others.get(tool);
  }

  /** Takes note of a listed tool. @returns undefined where nothing is remembered of so long a name */
  note(tool: string, digest: string, pins: PinnedTools): Seen | undefined {
    if (tool.length > TOOL_NAME_LENGTH_MAX && !pins.has(tool)) return undefined;
    const seen = this.get(tool) ?? { digest, told: new Map<string, number>() };
    seen.digest = digest;
    const [into, from] = pins.has(tool) ? [this.#pinned, this.#others] : [this.#others, this.#pinned];
    from.delete(tool);
    into.delete(tool);
    // Of its own: else it would hold the whole list that it came in.
    into.set(copied(tool), seen);
    this.#shrink(pins);
    return seen;
  }

  #shrink(pins: PinnedTools): void {
    const [oldest] = this.#others.keys();
    if (this.#others.size > UNPINNED_MAX && oldest !== undefined) this.#others.delete(oldest);
    // Only after another lock has come into force.
    if (this.#pinned.size <= pins.size) return;
    for (const tool of this.#pinned.keys()) if (!pins.has(tool)) this.#pinned.delete(tool);
  }
}

/**
 * Whether a record is due of a definition that is not pinned: `known`, one was made of it within the interval; `again`,
 * one was made of another definition of this tool; `first`, of none. Takes note that one is made.
 */
export function newsOf(
  { digest, told }: Seen,
  nowMs: number,
  intervalMs: number,
): 'known' | 'again' | 'first' {
  const isRecent = (atMs: number | undefined): boolean => atMs !== undefined && nowMs - atMs < intervalMs;
  if (isRecent(told.get(digest))) return 'known';
  const news = [...told.values()].some(isRecent) ? 'again' : 'first';
  told.delete(digest);
  told.set(digest, nowMs);
  const [oldest] = told.keys();
  if (told.size > TOLD_MAX && oldest !== undefined) told.delete(oldest);
  return news;
}
