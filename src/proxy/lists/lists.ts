/**
 * An answer as one caller may see it: of a list, what policy would deny whatever the arguments are is taken out,
 * caching is narrowed to the caller, and all other bytes stay as they came.
 *
 * This is for the eyes only. What a list leaves out is denied when it is asked for, and what it shows may be.
 */
import type { Policy } from '../../policy/policy.ts';
import { visibleTo, type Viewer } from '../../policy/visible.ts';
import type { Asked, Gate, Origin } from '../gate.ts';
import { type Limit, limitOf } from '../limit.ts';
import { editedBytes, readAnswerText } from './answer-text.ts';
import type { Catalogue } from './catalogue.ts';
import { isListed, listEdits } from './filter.ts';
import { LIST_KINDS, listOf } from './kinds.ts';

/** Milliseconds that a client may keep a list: what policy has taken away since is shown for so long at most. */
export const LIST_TTL_MS_MAX: Limit = { default: 60_000, maximum: 86_400_000 };

export interface ListsOptions {
  /** The policy in force now; read once per answer. */
  readonly policy: () => Policy;
  readonly now: () => Date;
  readonly catalogue?: Catalogue | undefined;
  /** See LIST_TTL_MS_MAX. */
  readonly listTtlMsMax?: number | undefined;
}

/** @throws VerdictError config_invalid for a limit out of range */
export function createLists(options: ListsOptions): Gate['show'] {
  const ttlMsMax = limitOf('listTtlMsMax', LIST_TTL_MS_MAX, options.listTtlMsMax);
  return (bytes, asked, origin) => {
    const list = asked && listOf(asked.method);
    if (asked !== undefined && list === undefined) return { ok: true, bytes };
    const read = readAnswerText(bytes);
    if (!read.ok) return asked === undefined && !mayNameList(read.text) ? { ok: true, bytes } : read;
    const { result } = read;
    if (result === undefined) return { ok: true, bytes };
    const lists = list === undefined ? LIST_KINDS.filter((kind) => isListed(result, kind)) : [list];
    if (lists.length === 0) return { ok: true, bytes };
    if (list !== undefined && result.has(list.member) && !Array.isArray(result.get(list.member))) {
      return { ok: false, code: 'parse_envelope', details: { detail: `${list.member} must be an array` } };
    }
    const edits = listEdits(read, result, lists, {
      server: origin.server.name,
      visible: visibleTo(options.policy(), viewerOf(origin, asked), { now: options.now() }),
      catalogue: options.catalogue,
      ttlMsMax,
    });
    return { ok: true, bytes: editedBytes(bytes, read, edits) };
  };
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
