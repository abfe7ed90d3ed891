/** Cuts what is read into lines and JSON values, in bounded memory. */

/** Bytes of one line: an export request of the largest batch many times over. */
export const INPUT_LINE_BYTES_MAX = 64 * 1024 * 1024;

const LF = 0x0a;

/**
 * Lines without their ends, and without zeros before them: those are a segment's preallocated room. undefined in the
 * place of a line that is longer than `bytesMax`.
 */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  bytesMax: number = INPUT_LINE_BYTES_MAX,
): AsyncGenerator<Buffer | undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  const take = (bytes: Buffer): void => {
    const part = length > 0 ? bytes : withoutZeros(bytes);
    length += part.length;
    // What is too long is counted and not kept.
    if (length > bytesMax) parts = [];
    else if (part.length > 0) parts.push(part);
  };
  const finish = (): Buffer | undefined => {
    const line = length > bytesMax ? undefined : Buffer.concat(parts);
    parts = [];
    length = 0;
    return line;
  };
  for await (const bytes of chunks) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      take(chunk.subarray(start, end));
      yield finish();
      start = end + 1;
    }
    take(chunk.subarray(start));
  }
  if (length > 0) yield finish();
}

function withoutZeros(bytes: Buffer): Buffer {
  let start = 0;
  while (bytes[start] === 0) start += 1;
  return start === 0 ? bytes : bytes.subarray(start);
}

/** The JSON values that stand one behind the other in a text, and what is left where the last one breaks off. */
export function splitDocument(text: string): { readonly values: string[]; readonly rest: string } {
  const values: string[] = [];
  let depth = 0;
  let start = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') quoted = !quoted;
    else if (quoted) at += char === '\\' ? 1 : 0;
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') {
      depth -= 1;
      if (depth > 0) continue;
      values.push(text.slice(start, at + 1).trim());
      start = at + 1;
      depth = 0;
    }
  }
  return { values, rest: text.slice(start).trim() };
}
