/** JSON inside strings: agents pass whole documents as one argument. */
import { JsonNumber } from './json.ts';
import type { Json } from './json.ts';

/** Levels of nesting that are followed, in arguments and in JSON inside them. */
export const DEPTH_MAX = 64;

export type Embedded =
  | { readonly value: Json }
  /** Nested beyond DEPTH_MAX, or a name twice in one object, so that the text holds more than its value shows. */
  | { readonly refused: 'depth' | 'duplicate' };

/** Whether a text could be JSON that holds something: an object, an array, or a string that may hold JSON again. */
export function looksLikeJson(text: string): boolean {
  const trimmed = text.trim();
  return trimmed.length > 1 && ['{}', '[]', '""'].includes(`${trimmed[0]}${trimmed.at(-1)}`);
}

/** The value that a text holds as JSON; undefined where it holds none. */
export function parseEmbedded(text: string): Embedded | undefined {
  const { depth, members } = survey(text);
  if (depth > DEPTH_MAX) return { refused: 'depth' };
  let kept = 0;
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    // The number as it was written (ECMAScript, JSON.parse source text access).
    if (typeof value === 'number') return new JsonNumber(context?.source ?? String(value));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const entries = Object.entries(value);
    kept += entries.length;
    return new Map(entries);
  };
  try {
    // The reviver makes Maps of objects and JsonNumbers of numbers; the rest is Json as it is.
    const value = JSON.parse(text, revive) as Json;
    return kept === members ? { value } : { refused: 'duplicate' };
  } catch {
    return undefined;
  }
}

/** Depth and number of members of a JSON text, counted before it is parsed, because the reviver recurses. */
function survey(text: string): { readonly depth: number; readonly members: number } {
  let open = 0;
  let depth = 0;
  let members = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') quoted = !quoted;
    else if (quoted) at += char === '\\' ? 1 : 0;
    else if (char === ':') members += 1;
    else if (char === '{' || char === '[') depth = Math.max(depth, (open += 1));
    else if (char === '}' || char === ']') open -= 1;
  }
  return { depth, members };
}
