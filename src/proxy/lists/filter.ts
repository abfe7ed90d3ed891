/** What has to change in the result of a list for one caller. Pure but for the catalogue. */
import { isObject, JsonNumber, type Json } from '../../event/json.ts';
import type { Visible } from '../../policy/visible.ts';
import { isPlainName } from '../message/call.ts';
import type { Span } from '../message/strict-json.ts';
import type { Catalogue } from './catalogue.ts';
import type { ListKind } from './kinds.ts';
import { elementSpans, memberSpans, removals, type Edit, type ReadText } from './splice.ts';

/** Who looks at a list. */
export interface View {
  /** Its key in our configuration. */
  readonly server: string;
  readonly visible: Visible;
  readonly catalogue: Catalogue | undefined;
  /** Milliseconds that a list may be kept for. */
  readonly ttlMsMax: number;
}

type Result = ReadonlyMap<string, Json>;

/** Whether a result has the form of a list: some object stands where its items would. */
export function isListed(result: Result | undefined, { member }: ListKind): boolean {
  const items = result?.get(member);
  return Array.isArray(items) && items.some(isObject);
}

/** @param lists those of which the result holds items */
export function listEdits(read: ReadText, result: Result, lists: readonly ListKind[], view: View): Edit[] {
  const members = memberSpans(read, result);
  return [
    ...lists.flatMap((list) => itemEdits(read, result, list, view)),
    ...cachingEdits(result, members, view.ttlMsMax),
  ];
}

function itemEdits(read: ReadText, result: Result, list: ListKind, view: View): Edit[] {
  const items = result.get(list.member);
  if (!Array.isArray(items)) return [];
  const spans = elementSpans(read, items);
  const keeps = items.map((item: Json, index) => isShown(item, list, view, textOf(read, spans[index])));
  return removals(spans, keeps);
}

function textOf({ text }: ReadText, span: Span | undefined): string {
  return span === undefined ? '' : text.slice(...span);
}

/** An item that cannot be asked for by what names it cannot be judged by that either. */
function isShown(item: Json, { kind, key }: ListKind, view: View, text: string): boolean {
  const name = isObject(item) ? item.get(key) : undefined;
  if (typeof name !== 'string') return false;
  if (key === 'name' && !isPlainName(name)) return false;
  const listed =
    kind === 'tool' ? view.catalogue?.listed(view.server, { name, definition: item, text }) : 'show';
  return listed !== 'hide' && view.visible(kind, name);
}

/** A list must not outlast a change of policy for long, either (MCP 2026-07-28, caching). */
function cachingEdits(result: Result, members: ReadonlyMap<string, Span>, ttlMsMax: number): Edit[] {
  const edits = scopeEdits(result, members);
  const [span, ttlMs] = [members.get('ttlMs'), result.get('ttlMs')];
  if (span === undefined || (ttlMs instanceof JsonNumber && ttlMs.value <= ttlMsMax)) return edits;
  return [...edits, { span, text: String(ttlMsMax) }];
}

/** What is for this caller must not be given to another (MCP 2026-07-28, caching): policy may deny it to that one. */
export function scopeEdits(result: Result, members: ReadonlyMap<string, Span>): Edit[] {
  const span = members.get('cacheScope');
  return span === undefined || result.get('cacheScope') === 'private' ? [] : [{ span, text: '"private"' }];
}
