/**
 * Which arguments of a tool are repeated in HTTP fields (MCP 2026-07-28, Streamable HTTP, custom headers from tool
 * parameters): what `x-mcp-header` in its `inputSchema` says. Pure.
 */

/** One argument that goes into the field `Mcp-Param-NAME`. */
export interface HeaderParameter {
  readonly name: string;
  /** Member names from `arguments` down. */
  readonly path: readonly string[];
}

export type HeaderSchema =
  | { readonly ok: true; readonly parameters: readonly HeaderParameter[] }
  /** The definition breaks a rule of the specification, which then wants the tool not to be used over HTTP. */
  | { readonly ok: false; readonly detail: string };

const ANNOTATION = 'x-mcp-header';
/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const TYPES: ReadonlySet<unknown> = new Set(['string', 'integer', 'boolean']);

/** Levels of a schema that are looked at: deeper ones have no name that a client would build arguments for. */
const DEPTH_MAX = 64;

/** Keywords of JSON Schema 2020-12 (and `definitions`) below which no argument has one place of its own. */
const SUBSCHEMA = [
  'items',
  'contains',
  'additionalProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  'propertyNames',
  'not',
  'if',
  'then',
  'else',
] as const;
const SUBSCHEMA_LISTS = ['prefixItems', 'oneOf', 'anyOf', 'allOf'] as const;
const SUBSCHEMA_MAPS = ['patternProperties', 'dependentSchemas', '$defs', 'definitions'] as const;

interface Walk {
  readonly parameters: HeaderParameter[];
  /** In lower case. */
  readonly names: Set<string>;
}

/** @param schema `inputSchema` of a tool, as JSON.parse gives it */
export function readHeaderSchema(schema: unknown): HeaderSchema {
  const walk: Walk = { parameters: [], names: new Set() };
  const fault = visit(walk, schema, { path: [], reachable: false, depth: 0 });
  return fault === undefined ? { ok: true, parameters: walk.parameters } : { ok: false, detail: fault };
}

interface Place {
  readonly path: readonly string[];
  /** Whether only `properties` lead here, so that an argument has this one place. */
  readonly reachable: boolean;
  readonly depth: number;
}

/** @returns what is wrong, if anything */
function visit(walk: Walk, schema: unknown, place: Place): string | undefined {
  const members = membersOf(schema);
  if (members === undefined || place.depth > DEPTH_MAX) return undefined;
  if (Object.hasOwn(members, ANNOTATION)) {
    const fault = annotate(walk, members, place);
    if (fault !== undefined) return fault;
  }
  const depth = place.depth + 1;
  // The root counts as reachable for what is below it, not for itself: it is no argument.
  const open = place.reachable || place.depth === 0;
  for (const [name, child] of Object.entries(membersOf(members['properties']) ?? {})) {
    const fault = visit(walk, child, { path: [...place.path, name], reachable: open, depth });
    if (fault !== undefined) return fault;
  }
  for (const child of subschemas(members)) {
    const fault = visit(walk, child, { path: place.path, reachable: false, depth });
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function annotate(walk: Walk, schema: Members, { path, reachable }: Place): string | undefined {
  const at = path.length === 0 ? 'its schema' : path.join('.');
  if (!reachable) return `${ANNOTATION} stands at ${at} where no argument has one place`;
  const name = schema[ANNOTATION];
  if (typeof name !== 'string' || !TOKEN.test(name)) return `${ANNOTATION} of ${at} is no header name`;
  if (!TYPES.has(schema['type'])) return `${ANNOTATION} of ${at} is on no string, integer or boolean`;
  const folded = name.toLowerCase();
  if (walk.names.has(folded)) return `${ANNOTATION} ${name} stands twice`;
  walk.names.add(folded);
  walk.parameters.push({ name, path });
  return undefined;
}

function subschemas(schema: Members): unknown[] {
  return [
    ...SUBSCHEMA.map((keyword) => schema[keyword]),
    // Up to draft 2019-09 `items` could be a list.
    ...[...SUBSCHEMA_LISTS, 'items'].flatMap((keyword) => {
      const list = schema[keyword];
      return Array.isArray(list) ? (list as readonly unknown[]) : [];
    }),
    ...SUBSCHEMA_MAPS.flatMap((keyword) => Object.values(membersOf(schema[keyword]) ?? {})),
  ];
}

type Members = Readonly<Record<string, unknown>>;

function membersOf(value: unknown): Members | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Members)
    : undefined;
}
