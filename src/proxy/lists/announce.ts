/**
 * An answer to `initialize` in which the server says that its lists may change: under a policy that may change they
 * do, whether or not the server ever changes them. Pure.
 *
 * In 2026-07-28 nothing is announced for a server: it would end a subscription to what it does not offer, and no list
 * is kept for longer than LIST_TTL_MS_MAX anyway.
 */
import { isObject, type Json } from '../../event/json.ts';
import { LIST_NAMES, type ListName } from './changes.ts';
import { memberSpans, type Edit, type ReadText } from './splice.ts';

type Result = ReadonlyMap<string, Json>;

/** Which lists the server has. */
export function listsOf(result: Result): readonly ListName[] {
  const capabilities = result.get('capabilities');
  return isObject(capabilities) ? LIST_NAMES.filter((name) => isObject(capabilities.get(name))) : [];
}

export function announcements(read: ReadText, result: Result): Edit[] {
  const capabilities = result.get('capabilities');
  if (!isObject(capabilities)) return [];
  return LIST_NAMES.flatMap((name): Edit[] => {
    const capability = capabilities.get(name);
    return isObject(capability) ? announcement(read, capability) : [];
  });
}

function announcement(read: ReadText, capability: ReadonlyMap<string, Json>): Edit[] {
  if (capability.get('listChanged') === true) return [];
  const stated = memberSpans(read, capability).get('listChanged');
  if (stated !== undefined) return [{ span: stated, text: 'true' }];
  const [open = 0] = read.spans.get(capability) ?? [];
  const text = `"listChanged":true${capability.size > 0 ? ',' : ''}`;
  return [{ span: [open + 1, open + 1], text }];
}
