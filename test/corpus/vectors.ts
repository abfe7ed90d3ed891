/** Reads the corpus; README.md says what its members mean. */
import { readFileSync } from 'node:fs';

export type Transport = 'http' | 'stdio';

export type RefusalReason =
  | 'batch'
  | 'content_type'
  | 'depth'
  | 'duplicate_key'
  | 'envelope'
  | 'header_mismatch'
  | 'identity'
  | 'json'
  | 'params'
  | 'size'
  | 'unasked_response'
  | 'utf8';

interface Refused {
  readonly is: 'refused';
  readonly reason: RefusalReason;
  readonly silent?: boolean;
}

/** What a decision must have been about; what is not named is not checked. */
interface Target {
  readonly method: string;
  readonly tool?: string;
  readonly prompt?: string;
  readonly uri?: string;
}

interface Denied extends Target {
  readonly is: 'denied';
  readonly reason: 'default' | 'rule' | 'policy_error' | 'method_unknown';
  readonly silent?: boolean;
  readonly within_ms?: number;
}

interface Forwarded extends Target {
  readonly is: 'forwarded';
  readonly argument_names?: readonly string[];
  readonly headers_absent?: readonly string[];
}

export interface Vector {
  readonly id: string;
  readonly what: string;
  readonly source: readonly string[];
  readonly transports: readonly Transport[];
  /** Names and values; a Content-Type here stands in the place of the usual one. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly expect: Refused | Denied | Forwarded;
  readonly records?: {
    readonly absent?: readonly string[];
    readonly present?: readonly string[];
    readonly bytes_max?: number;
  };
  readonly message: Uint8Array;
}

type Line = Omit<Vector, 'message'> & {
  readonly message?: string;
  readonly message_base64?: string;
  readonly message_parts?: readonly (string | readonly [text: string, count: number])[];
};

export function readVectors(): Vector[] {
  const text = readFileSync(new URL('vectors.jsonl', import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { message, message_base64: base64, message_parts: parts, ...rest } = JSON.parse(line) as Line;
      return { ...rest, message: bytesOf(message, base64, parts) };
    });
}

function bytesOf(
  text: Line['message'],
  base64: Line['message_base64'],
  parts: Line['message_parts'],
): Uint8Array {
  if (text !== undefined) return Buffer.from(text);
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  const pieces = (parts ?? []).map((part) => (typeof part === 'string' ? part : part[0].repeat(part[1])));
  return Buffer.from(pieces.join(''));
}
