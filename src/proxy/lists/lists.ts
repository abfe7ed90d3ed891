/**
 * An answer as one caller may see it: of a list, what policy would deny whatever the arguments are is taken out,
 * caching of whatever answer is narrowed to the caller, and all other bytes stay as they came.
 *
 * This is for the eyes only. What a list leaves out is denied when it is asked for, and what it shows may be.
 */
import type { Json } from '../../event/json.ts';
import type { Policy } from '../../policy/policy.ts';
import { visibleTo, type Viewer } from '../../policy/visible.ts';
import type { Asked, Gate, Origin, Shown } from '../gate.ts';
import { type Limit, limitOf } from '../limit.ts';
import { announcements, listsOf } from './announce.ts';
import { editedBytes, readAnswerText, type ReadResult } from './answer-text.ts';
import type { Catalogue } from './catalogue.ts';
import type { ListChanges } from './changes.ts';
import { isListed, listEdits, scopeEdits } from './filter.ts';
import { LIST_KINDS, listOf, type ListKind } from './kinds.ts';
import { memberSpans } from './splice.ts';
import { foldKey, shown } from '../message/strict-json.ts';

type Result = ReadonlyMap<string, Json>;

/** Milliseconds that a client may keep a list: what policy has taken away since is shown for so long at most. */
export const LIST_TTL_MS_MAX: Limit = { default: 60_000, maximum: 86_400_000 };

/**
 * Items of a list in one answer. Each of them is judged, which takes up to 0.2 ms where conditions have patterns, and
 * meanwhile nobody else is served.
 */
export const LIST_ITEMS_MAX: Limit = { default: 10_000, maximum: 1_000_000 };

export interface ListsOptions {
  /** The policy in force now; read once per answer. */
  readonly policy: () => Policy;
  readonly now: () => Date;
  readonly catalogue?: Catalogue | undefined;
  /** Where there is none, lists never change but by the server's doing, and nothing else is announced. */
  readonly listChanges?: ListChanges | undefined;
  /** See LIST_TTL_MS_MAX. */
  readonly listTtlMsMax?: number | undefined;
  /** See LIST_ITEMS_MAX. */
  readonly listItemsMax?: number | undefined;
}

/** @throws VerdictError config_invalid for a limit out of range */
export function createLists(options: ListsOptions): Gate['show'] {
  const ttlMsMax = limitOf('listTtlMsMax', LIST_TTL_MS_MAX, options.listTtlMsMax);
  const itemsMax = limitOf('listItemsMax', LIST_ITEMS_MAX, options.listItemsMax);
  const filtered = (
    bytes: Uint8Array,
    read: ReadResult,
    lists: readonly ListKind[],
    viewer: Viewer,
  ): Uint8Array => {
    const { result } = read;
    if (result === undefined) return bytes;
    const visible = visibleTo(options.policy(), viewer, { now: options.now() });
    const view = { server: viewer.server, visible, catalogue: options.catalogue, ttlMsMax };
    return editedBytes(bytes, read, listEdits(read, result, lists, view));
  };
  const reading = (
    bytes: Uint8Array,
    asked: Asked | undefined,
    { list, scoped }: Look,
    origin: Origin,
  ): Shown => {
    const read = readAnswerText(bytes);
    if (!read.ok) {
      const matters = scoped || list !== undefined || (asked === undefined && mayNameList(read.text));
      return matters ? read : { ok: true, bytes };
    }
    const fault = faultOf(read.result, list, itemsMax);
    if (fault !== undefined) return { ok: false, code: 'parse_envelope', details: { detail: fault } };
    // By form too, whatever was asked: of two requests with one id a server answers the first where it was asked the
    // second, and nobody here can tell.
    const lists = LIST_KINDS.filter((kind) => kind === list || isListed(read.result, kind));
    if (lists.length === 0) return { ok: true, bytes: scoped ? unshared(bytes, read) : bytes };
    const left = filtered(bytes, read, lists, viewerOf(origin, asked));
    if (list === undefined) return { ok: true, bytes: left };
    return { ok: true, bytes: left, lists: read.result === undefined ? [] : [list.name] };
  };
  return (bytes, asked, origin) => {
    if (asked?.method === 'initialize' && options.listChanges !== undefined) return announced(bytes);
    const list = asked === undefined ? undefined : listOf(asked.method);
    // The revisions before know no caching.
    const scoped = asked?.modern !== false && holds(bytes, WRITTEN_SCOPE);
    const matters = asked === undefined || list !== undefined || scoped || holdsListName(bytes);
    return matters ? reading(bytes, asked, { list, scoped }, origin) : { ok: true, bytes };
  };
}

/** What there may be to change in an answer, as far as that shows before it is read. */
interface Look {
  /** That it was asked for with. */
  readonly list: ListKind | undefined;
  /** Whether it may say who else may have it. */
  readonly scoped: boolean;
}

function unshared(bytes: Uint8Array, read: ReadResult): Uint8Array {
  const { result } = read;
  if (result === undefined) return bytes;
  return editedBytes(bytes, read, scopeEdits(result, memberSpans(read, result)));
}

/** Why a result cannot be shown. @param list what it was asked for; undefined where that is no list, or not known */
function faultOf(
  result: Result | undefined,
  list: ListKind | undefined,
  itemsMax: number,
): string | undefined {
  if (list !== undefined && !Array.isArray(result?.get(list.member) ?? [])) {
    return `${list.member} must be an array`;
  }
  for (const [name, value] of result ?? []) {
    const member = MEMBERS.get(foldKey(name) ?? name);
    if (member === undefined) continue;
    // A client that reads members without regard to case would be shown what nobody has looked at.
    if (name !== member && (list !== undefined || Array.isArray(value))) {
      return `${shown(name)} can be read as ${member}`;
    }
    if (Array.isArray(value) && value.length > itemsMax) return `${member} has more than ${itemsMax} items`;
  }
  return undefined;
}

/** By what they fold to. */
const MEMBERS: ReadonlyMap<string, string> = new Map(
  LIST_KINDS.map(({ member }) => [foldKey(member) ?? member, member]),
);

/**
 * As honest servers write them. One that is not can say what it likes in any answer; it is those to requests for lists
 * that clients take lists from.
 */
const WRITTEN_MEMBERS = LIST_KINDS.map(({ member }) => Buffer.from(`"${member}"`));

/** Of what says who else may have an answer, in 2026-07-28. */
const WRITTEN_SCOPE = [Buffer.from('"cacheScope"')];

function holdsListName(bytes: Uint8Array): boolean {
  return holds(bytes, WRITTEN_MEMBERS);
}

function holds(bytes: Uint8Array, members: readonly Buffer[]): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return members.some((member) => text.includes(member));
}

/** One that cannot be read strictly announces nothing more than it does. */
function announced(bytes: Uint8Array): Shown {
  const read = readAnswerText(bytes);
  if (!read.ok || read.result === undefined) return { ok: true, bytes };
  const { result } = read;
  return { ok: true, bytes: editedBytes(bytes, read, announcements(read, result)), lists: listsOf(result) };
}

/** A list that only some readers see, among the answers to nobody knows what; escapes may spell anything. */
function mayNameList(text: string): boolean {
  return /\\u|"(?:tools|prompts|resources|resourceTemplates)"/i.test(text);
}

function viewerOf(
  { identity, server, transport, protocolVersion, clientAddress }: Origin,
  asked?: Asked,
): Viewer {
  return {
    identity,
    server: server.name,
    transport,
    protocolVersion: asked?.protocolVersion ?? protocolVersion,
    clientAddress,
  };
}
