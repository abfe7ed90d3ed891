/** What the tools of a server, as it listed them last, want repeated in the headers of their calls. */
import { isObject, JsonNumber, type Json } from '../../../event/json.ts';
import type { Call } from '../../message/message.ts';
import { decodeHeaderValue, encodeHeaderValue } from '../../message/header-value.ts';
import { type HeaderSchema, readHeaderSchema } from './header-schema.ts';

export type ParameterHeaders =
  | { readonly ok: true; readonly headers: Readonly<Record<string, string>> }
  /** The tool must not be called over HTTP. */
  | { readonly ok: false; readonly detail: string };

interface Known {
  readonly schema: HeaderSchema;
  readonly bytes: number;
}

const NONE: ParameterHeaders = { ok: true, headers: {} };

export class ToolHeaders {
  readonly #bytesMax: number;
  /** Tools with nothing to repeat are not in here. Oldest first. */
  readonly #known = new Map<string, Known>();
  #bytes = 0;

  /** @param bytesMax of what is remembered; over it, the tools that were listed first are forgotten */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Takes in an answer to `tools/list`, a page of it or all.
   * @returns what is wrong with a tool, for each that must not be called
   */
  learn(answer: Uint8Array): string[] {
    const text = Buffer.from(answer.buffer, answer.byteOffset, answer.length).toString();
    // Spelt with an escape it would be the same name, and no server does so.
    const matters = text.includes('x-mcp-header');
    if (!matters && this.#known.size === 0) return [];
    const faults: string[] = [];
    for (const { name, inputSchema } of toolsIn(text)) {
      this.#forget(name);
      const schema = matters ? readHeaderSchema(inputSchema) : { ok: true as const, parameters: [] };
      if (!schema.ok) faults.push(`${name}: ${schema.detail}`);
      if (!schema.ok || schema.parameters.length > 0) this.#remember(name, schema);
    }
    return faults;
  }

  /** The headers that a call of a tool is to have, as far as the tool is known. */
  of({ tool, args }: Call): ParameterHeaders {
    const schema = tool === undefined ? undefined : this.#known.get(tool)?.schema;
    if (schema === undefined) return NONE;
    if (!schema.ok) return schema;
    const headers: Record<string, string> = {};
    for (const { name, path } of schema.parameters) {
      const text = textOf(valueAt(args, path));
      if (text !== undefined) headers[`mcp-param-${name.toLowerCase()}`] = encodeHeaderValue(text);
    }
    return { ok: true, headers };
  }

  /**
   * The first field of a call that says something else than the argument it repeats, or that is missing or too many,
   * as far as the tool is known.
   * @param fields by name in lower case
   */
  mismatch({ tool, args }: Call, fields: Readonly<Record<string, string>>): string | undefined {
    const schema = tool === undefined ? undefined : this.#known.get(tool)?.schema;
    if (schema?.ok !== true) return undefined;
    const wrong = schema.parameters.find(({ name, path }) => {
      const field = fields[`mcp-param-${name.toLowerCase()}`];
      return !says(field, valueAt(args, path));
    });
    return wrong === undefined ? undefined : `Mcp-Param-${wrong.name}`;
  }

  #remember(name: string, schema: HeaderSchema): void {
    const bytes = name.length + JSON.stringify(schema).length;
    this.#known.set(name, { schema, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#known.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#forget(oldest);
    }
  }

  #forget(name: string): void {
    this.#bytes -= this.#known.get(name)?.bytes ?? 0;
    this.#known.delete(name);
  }
}

interface ListedTool {
  readonly name: string;
  readonly inputSchema?: unknown;
}

function toolsIn(text: string): ListedTool[] {
  try {
    const answer = JSON.parse(text) as { readonly result?: { readonly tools?: unknown } };
    const tools: unknown = answer.result?.tools;
    if (!Array.isArray(tools)) return [];
    return tools.filter(
      (tool: unknown): tool is ListedTool =>
        typeof tool === 'object' && tool !== null && 'name' in tool && typeof tool.name === 'string',
    );
  } catch {
    return [];
  }
}

function valueAt(args: Call['args'], path: readonly string[]): Json | undefined {
  let value: Json | undefined = args;
  for (const name of path) value = isObject(value) ? value.get(name) : undefined;
  return value;
}

/** Whether a field repeats an argument; of numbers it is the value that counts, not how it is written. */
function says(field: string | undefined, value: Json | undefined): boolean {
  const text = textOf(value);
  if (field === undefined || text === undefined) return field === text;
  const said = decodeHeaderValue(field);
  return (
    said === text || (value instanceof JsonNumber && NUMBER.test(said ?? '') && Number(said) === value.value)
  );
}

const NUMBER = /^-?\d+(?:\.\d+)?$/;

/** As the specification wants each type written; undefined for what has no header. */
function textOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (!(value instanceof JsonNumber)) return undefined;
  const number = value.value;
  // A server reads the body's number as a double, and compares with that.
  const isExact = Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number));
  return isExact ? String(number) : undefined;
}
