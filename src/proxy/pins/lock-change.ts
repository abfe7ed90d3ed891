/** What changes from one lock to another, told tool by tool. Pure. */
import { isObject } from '../../event/json.ts';
import type { Json } from '../../event/json.ts';
import { differencesOf, unseenIn } from './difference.ts';
import type { PinnedTool, ToolLock } from './lock.ts';

export interface LockChange {
  readonly server: string;
  readonly tool: string;
  readonly kind: 'added' | 'removed' | 'changed';
  /** How the definition differs from the one before; of an added tool, what it says it does. */
  readonly difference: readonly string[];
  /** Places in it that hold what a reader does not see. */
  readonly unseen: readonly string[];
}

/** By server and tool. */
export function lockChanges(before: ToolLock, after: ToolLock): readonly LockChange[] {
  return namesOf(before, after).flatMap((server) => {
    const [old, fresh] = [before.get(server) ?? NO_TOOLS, after.get(server) ?? NO_TOOLS];
    return namesOf(old, fresh).flatMap(
      (tool) => toolChange({ server, tool }, old.get(tool), fresh.get(tool)) ?? [],
    );
  });
}

const NO_TOOLS: ReadonlyMap<string, readonly PinnedTool[]> = new Map();

function namesOf(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): readonly string[] {
  return [...new Set([...one.keys(), ...other.keys()])].toSorted();
}

function toolChange(
  named: Pick<LockChange, 'server' | 'tool'>,
  before: readonly PinnedTool[] | undefined,
  after: readonly PinnedTool[] | undefined,
): LockChange | undefined {
  if (after === undefined) return { ...named, kind: 'removed', difference: [], unseen: [] };
  if (before === undefined) {
    const difference = [...new Set(after.flatMap(description))];
    return { ...named, kind: 'added', difference, unseen: unseenOf(after) };
  }
  const fresh = after.filter(({ digest }) => before.every((entry) => entry.digest !== digest));
  const gone = before.filter(({ digest }) => after.every((entry) => entry.digest !== digest));
  if (fresh.length === 0 && gone.length === 0) return undefined;
  const difference = fresh.flatMap(({ definition }) => nearest(before, definition).difference);
  const fewer = fresh.length > 0 ? [] : [`one of its ${before.length} definitions is gone`];
  return { ...named, kind: 'changed', difference: [...difference, ...fewer], unseen: unseenOf(fresh) };
}

function unseenOf(tools: readonly PinnedTool[]): readonly string[] {
  return [...new Set(tools.flatMap(({ definition }) => unseenIn(definition)))];
}

function description({ definition }: PinnedTool): readonly string[] {
  const text = isObject(definition) ? definition.get('description') : undefined;
  return text === undefined ? [] : differencesOf(new Map(), new Map([['description', text]]));
}

/** What a definition is compared with: of several pinned ones, that with the fewest differences. */
export function nearest(
  pinned: readonly PinnedTool[],
  definition: Json,
): { readonly pinned: string | undefined; readonly difference: readonly string[] } {
  const compared = pinned.map((entry) => ({
    pinned: entry.digest,
    difference: differencesOf(entry.definition, definition),
  }));
  const [first] = compared.toSorted((one, other) => one.difference.length - other.difference.length);
  return first ?? { pinned: undefined, difference: [] };
}
