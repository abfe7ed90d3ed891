/** From the typed fields of a draft to the attributes of a record. */
import { cutText } from './text.ts';
import { ARRAY_ITEMS_MAX, KEYS, STRING_BYTES_MAX } from './vocabulary.ts';
import type { Event, Fields, Scalar } from './vocabulary.ts';

interface Attribute {
  readonly type: (typeof KEYS)[number]['type'];
  readonly bytesMax: number;
}

const ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map(
  KEYS.filter((row) => !('bodyOnly' in row)).map((row) => [
    row.key,
    { type: row.type, bytesMax: 'bytesMax' in row ? row.bytesMax : STRING_BYTES_MAX },
  ]),
);

/**
 * The attributes of a record: strings well-formed and cut to their row's cap, arrays cut to ARRAY_ITEMS_MAX.
 *
 * Left out is what is undefined, what the vocabulary does not know or carries in the body only, what has another
 * type than its row says, and an integer that a double cannot hold exactly: a clamped number would be a false one.
 */
export function toAttributes(fields: Fields): Event {
  const attributes: [string, Scalar][] = [];
  for (const [key, value] of Object.entries(fields)) {
    const attribute = ATTRIBUTES.get(key);
    const fit = attribute && fitting(value, attribute);
    if (fit !== undefined) attributes.push([key, fit]);
  }
  return Object.fromEntries(attributes);
}

function fitting(value: unknown, { type, bytesMax }: Attribute): Scalar | undefined {
  switch (type) {
    case 'string':
      return typeof value === 'string' ? cutText(value, bytesMax).text : undefined;
    case 'int':
      // Adding 0 makes 0 of -0, which canonical JSON cannot tell apart.
      return typeof value === 'number' && Number.isSafeInteger(value) ? value + 0 : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'strings':
      return Array.isArray(value) ? fittingItems(value, bytesMax) : undefined;
    default:
      return undefined;
  }
}

function fittingItems(items: readonly unknown[], bytesMax: number): readonly string[] {
  return items
    .slice(0, ARRAY_ITEMS_MAX)
    .filter((item) => typeof item === 'string')
    .map((item) => cutText(item, bytesMax).text);
}
