/**
 * tools.lock.json: the definitions of tools that somebody has looked at. It lies beside the policy, under version
 * control, so it is written to be read: one member a line, names in order, and an escape for what would not be seen.
 * Pure; the file is read and written elsewhere.
 *
 * ```
 * {"apiVersion": "mcp-verdict/v1", "kind": "ToolsLock",
 *  "servers": {SERVER: {TOOL: [{"digest": "sha256:HEX", "definition": {...}}]}}}
 * ```
 *
 * A tool has several definitions where a server describes it otherwise to clients of another protocol revision.
 */
import type { Fault, Position } from '../../document.ts';
import { clip } from '../../document/words.ts';
import { errorText } from '../../errors.ts';
import { canonicalJson } from '../../event/canonical.ts';
import { isObject } from '../../event/json.ts';
import type { Json } from '../../event/json.ts';
import { JSON_DEPTH_MAX, parseStrictJson } from '../message/strict-json.ts';
import { toolDigest } from './digest.ts';
import { withEscapes } from './escapes.ts';

export interface PinnedTool {
  readonly digest: string;
  readonly definition: Json;
}

/** By tool. */
export type PinnedTools = ReadonlyMap<string, readonly PinnedTool[]>;

/** By server. */
export type ToolLock = ReadonlyMap<string, PinnedTools>;

export const NO_LOCK: ToolLock = new Map();

/** Bytes of the file. */
export const LOCK_BYTES_MAX = 8 * 1024 * 1024;
/** Tools of one server. */
export const LOCK_TOOLS_MAX = 1000;
/** Definitions of one tool. */
export const LOCK_VARIANTS_MAX = 8;

export type LoadedLock =
  | { readonly ok: true; readonly lock: ToolLock }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Reads a lock file; a definition that is not the one of its digest is a fault. */
export function loadLock(file: string, text: string): LoadedLock {
  const fault = (message: string, offset: number): Fault => ({ file, ...positionOf(text, offset), message });
  if (Buffer.byteLength(text) > LOCK_BYTES_MAX) {
    return { ok: false, faults: [fault(`the file is larger than ${LOCK_BYTES_MAX} bytes`, 0)] };
  }
  // Names of tools and of their arguments may differ in case only; our own are told one by one.
  const parsed = parseStrictJson(text, {
    depthMax: JSON_DEPTH_MAX.maximum,
    spanLevels: ENTRY_LEVEL,
    foldLevels: 0,
  });
  if (!parsed.ok) {
    const { offset = 0, detail } = parsed.details;
    const isSyntax = parsed.code === 'parse_json';
    const message = isSyntax ? `not valid JSON: ${detail}` : errorText(parsed.code, parsed.details);
    return { ok: false, faults: [fault(message, Number(offset))] };
  }
  const wrong: Wrong[] = [];
  const lock = lockOf(parsed.value, wrong);
  if (wrong.length === 0) return { ok: true, lock };
  return {
    ok: false,
    faults: wrong.map(({ at, message }) => fault(message, parsed.spans.get(at)?.[0] ?? 0)),
  };
}

/** Levels of objects and lists from the root to an entry, that is to digest and definition. */
const ENTRY_LEVEL = 4;

function positionOf(text: string, offset: number): Position {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

interface Wrong {
  /** The object or list that it stands in. */
  readonly at: Json;
  readonly message: string;
}

function lockOf(root: Json, wrong: Wrong[]): ToolLock {
  const members = isObject(root) ? root : NOTHING;
  for (const [name, value] of HEAD) {
    if (members.get(name) !== value) wrong.push({ at: root, message: `${name} must be ${value}` });
  }
  for (const name of members.keys()) {
    if (!MEMBERS.has(name)) wrong.push({ at: root, message: `unknown key ${clip(name)}` });
  }
  const servers = members.get('servers');
  if (!isObject(servers)) wrong.push({ at: root, message: 'servers must be an object' });
  const lock = new Map<string, PinnedTools>();
  for (const [server, tools] of isObject(servers) ? servers : NOTHING) {
    if (isObject(tools) && tools.size <= LOCK_TOOLS_MAX) lock.set(server, toolsOf(server, tools, wrong));
    else {
      const message = `${clip(server)} must be an object of at most ${LOCK_TOOLS_MAX} tools`;
      wrong.push({ at: servers ?? root, message });
    }
  }
  return lock;
}

const NOTHING: ReadonlyMap<string, Json> = new Map();
const HEAD = [
  ['apiVersion', 'mcp-verdict/v1'],
  ['kind', 'ToolsLock'],
] as const;
const MEMBERS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'servers']);

function toolsOf(server: string, tools: ReadonlyMap<string, Json>, wrong: Wrong[]): PinnedTools {
  const pins = new Map<string, readonly PinnedTool[]>();
  for (const [tool, variants] of tools) {
    if (Array.isArray(variants) && variants.length > 0 && variants.length <= LOCK_VARIANTS_MAX) {
      pins.set(
        tool,
        variants.flatMap((entry: Json) => pinnedOf(tool, entry, { list: variants, wrong }) ?? []),
      );
    } else {
      const message = `${clip(`${server}/${tool}`)} must be a list of 1 to ${LOCK_VARIANTS_MAX} definitions`;
      wrong.push({ at: Array.isArray(variants) ? variants : tools, message });
    }
  }
  return pins;
}

function pinnedOf(
  tool: string,
  entry: Json,
  { list, wrong }: { readonly list: Json; readonly wrong: Wrong[] },
): PinnedTool | undefined {
  const [digest, definition] = isObject(entry) ? [entry.get('digest'), entry.get('definition')] : [];
  if (!isObject(entry) || entry.size !== 2 || typeof digest !== 'string' || !isObject(definition)) {
    const message = 'must be an object of a digest and a definition';
    wrong.push({ at: isObject(entry) ? entry : list, message });
    return undefined;
  }
  // Or a definition could be slipped in that the digest beside it does not vouch for, or the other way round.
  if (toolDigest(definition) !== digest) {
    wrong.push({ at: entry, message: 'the digest is not that of the definition beside it' });
  }
  if (definition.get('name') !== tool) {
    wrong.push({ at: entry, message: `the definition is not of the tool ${clip(tool)}` });
  }
  return { digest, definition };
}

/** The file of a lock: the same one for the same definitions, in whatever order they are given. */
export function lockText(lock: ToolLock): string {
  const servers = sorted(lock).map(([server, tools]): [string, Json] => [
    server,
    new Map(sorted(tools).map(([tool, variants]) => [tool, variants.toSorted(byDigest).map(entryOf)])),
  ]);
  const root = new Map<string, Json>([...HEAD, ['servers', new Map(servers)]]);
  return `${pretty(root, '\n')}\n`;
}

/** The members of the definition in canonical order, the digest before it. */
function entryOf({ digest, definition }: PinnedTool): Json {
  return new Map<string, Json>([
    ['digest', digest],
    ['definition', inOrder(definition)],
  ]);
}

function byDigest(one: PinnedTool, other: PinnedTool): number {
  return one.digest < other.digest ? -1 : Number(one.digest > other.digest);
}

function inOrder(value: Json): Json {
  if (isObject(value)) return new Map(sorted(value).map(([name, item]) => [name, inOrder(item)]));
  return Array.isArray(value) ? value.map(inOrder) : value;
}

function sorted<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...map].toSorted(([one], [other]) => (one < other ? -1 : Number(one > other)));
}

/** @param line the line end and the indentation before the value's last bracket */
function pretty(value: Json, line: string): string {
  if (typeof value !== 'object' || value === null) return quoted(value);
  const deeper = `${line}  `;
  if (isObject(value)) {
    if (value.size === 0) return '{}';
    const members = Array.from(value, ([name, item]) => `${deeper}${quoted(name)}: ${pretty(item, deeper)}`);
    return `{${members.join(',')}${line}}`;
  }
  if (!Array.isArray(value)) return quoted(value);
  if (value.length === 0) return '[]';
  return `[${value.map((item: Json) => `${deeper}${pretty(item, deeper)}`).join(',')}${line}]`;
}

function quoted(value: Json): string {
  return withEscapes(canonicalJson(value));
}
