/**
 * An answer as one caller may see it: of a list, what policy would deny whatever the arguments are is taken out,
 * caching is narrowed to the caller, and all other bytes stay as they came.
 *
 * This is for the eyes only. What a list leaves out is denied when it is asked for, and what it shows may be.
 */
import type { Policy } from '../../policy/policy.ts';
import { visibleTo, type Viewer } from '../../policy/visible.ts';
import type { Asked, Gate, Origin, Shown } from '../gate.ts';
import { type Limit, limitOf } from '../limit.ts';
import { announcements, listsOf } from './announce.ts';
import { editedBytes, readAnswerText, type ReadResult } from './answer-text.ts';
import type { Catalogue } from './catalogue.ts';
import type { ListChanges } from './changes.ts';
import { isListed, listEdits } from './filter.ts';
import { LIST_KINDS, listOf, type ListKind } from './kinds.ts';

/** Milliseconds that a client may keep a list: what policy has taken away since is shown for so long at most. */
export const LIST_TTL_MS_MAX: Limit = { default: 60_000, maximum: 86_400_000 };

export interface ListsOptions {
  /** The policy in force now; read once per answer. */
  readonly policy: () => Policy;
  readonly now: () => Date;
  readonly catalogue?: Catalogue | undefined;
  /** Where there is none, lists never change but by the server's doing, and nothing else is announced. */
  readonly listChanges?: ListChanges | undefined;
  /** See LIST_TTL_MS_MAX. */
  readonly listTtlMsMax?: number | undefined;
}

/** @throws VerdictError config_invalid for a limit out of range */
export function createLists(options: ListsOptions): Gate['show'] {
  const ttlMsMax = limitOf('listTtlMsMax', LIST_TTL_MS_MAX, options.listTtlMsMax);
  const filtered = (
    bytes: Uint8Array,
    read: ReadResult,
    lists: readonly ListKind[],
    viewer: Viewer,
  ): Uint8Array => {
    const { result } = read;
    if (result === undefined || lists.length === 0) return bytes;
    const visible = visibleTo(options.policy(), viewer, { now: options.now() });
    const view = { server: viewer.server, visible, catalogue: options.catalogue, ttlMsMax };
    return editedBytes(bytes, read, listEdits(read, result, lists, view));
  };
  return (bytes, asked, origin) => {
    if (asked === undefined) {
      const read = readAnswerText(bytes);
      if (!read.ok) return mayNameList(read.text) ? read : { ok: true, bytes };
      const lists = LIST_KINDS.filter((kind) => isListed(read.result, kind));
      return { ok: true, bytes: filtered(bytes, read, lists, viewerOf(origin)) };
    }
    if (asked.method === 'initialize' && options.listChanges !== undefined) return announced(bytes);
    const list = listOf(asked.method);
    if (list === undefined) return { ok: true, bytes };
    const read = readAnswerText(bytes);
    if (!read.ok) return read;
    const items = read.result?.get(list.member) ?? [];
    if (!Array.isArray(items)) {
      return { ok: false, code: 'parse_envelope', details: { detail: `${list.member} must be an array` } };
    }
    const shown = filtered(bytes, read, [list], viewerOf(origin, asked));
    return { ok: true, bytes: shown, lists: read.result === undefined ? [] : [list.name] };
  };
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
