/** JSON Schema of an event body, made from the vocabulary. */
import {
  ARRAY_ITEMS_MAX,
  EVENT_NAMES,
  KEYS,
  SCHEMA_URL,
  STRING_BYTES_MAX,
  SCHEMA_VERSION,
} from './vocabulary.ts';
import type { EventName } from './vocabulary.ts';

type Row = (typeof KEYS)[number];

/** JSON Schema (draft 2020-12) of one body: one alternative per event name. Ready for JSON.stringify. */
export function eventJsonSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: SCHEMA_URL,
    title: 'mcp-verdict record',
    description: `Body of a record, schema version ${SCHEMA_VERSION}.`,
    type: 'object',
    required: ['event.name'],
    oneOf: EVENT_NAMES.map((name) => ({ $ref: `#/$defs/${name}` })),
    $defs: Object.fromEntries(EVENT_NAMES.map((name) => [name, eventSchema(name)])),
  };
}

function eventSchema(name: EventName): object {
  const rows = KEYS.filter((row) => row.on === 'all' || row.on.some((on) => on === name));
  return {
    type: 'object',
    properties: Object.fromEntries(
      rows.map((row) => [row.key, row.key === 'event.name' ? { const: name } : valueSchema(row)]),
    ),
    required: rows.filter((row) => 'required' in row).map((row) => row.key),
    $comment:
      'A later release may add keys without raising verdict.schema.version, so unknown ones are allowed.',
    additionalProperties: true,
  };
}

function valueSchema(row: Row): object {
  // Caps count bytes, maxLength code points: no fewer bytes than code points, so it never refuses what is within.
  const string = { type: 'string', maxLength: 'bytesMax' in row ? row.bytesMax : STRING_BYTES_MAX };
  const values = 'values' in row ? { enum: row.values } : {};
  const shape = {
    string,
    int: { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
    boolean: { type: 'boolean' },
    strings: { type: 'array', items: string, maxItems: ARRAY_ITEMS_MAX },
  }[row.type];
  return { description: row.meaning, ...shape, ...values };
}
