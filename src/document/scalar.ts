/** From a character of a YAML scalar's value back to where it stands in the source. */
import type { Scalar } from 'yaml';

/** How many units of the value one piece of source makes, and how long it is in the source. */
type Piece = readonly [decoded: number, source: number];

/** Where in the source the unit at `offset` of a scalar's value stands (YAML 1.2.2, chapters 7.3 and 8.1). */
export function sourceOffset(scalar: Scalar, value: string, source: string, offset: number): number {
  const [start, end] = scalar.range ?? [0, 0, 0];
  const block = scalar.type === 'BLOCK_LITERAL' || scalar.type === 'BLOCK_FOLDED';
  const indent = block ? blockIndent(source.slice(start, end), value) : 0;
  let at = start;
  if (block) at = source.indexOf('\n', start) + 1;
  else if (scalar.type !== 'PLAIN') at += 1;
  for (let decoded = 0; at < end;) {
    const [made, taken] = block
      ? blockPiece(source, at, { value, decoded, indent, folded: scalar.type === 'BLOCK_FOLDED' })
      : flowPiece(source, at, scalar.type);
    if (decoded + made > offset) return at;
    decoded += made;
    at += taken;
  }
  return Math.min(at, end);
}

function flowPiece(source: string, at: number, type: Scalar['type']): Piece {
  const rest = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  if (type === 'QUOTE_SINGLE' && source.startsWith("''", at)) return [1, 2];
  if (type === 'QUOTE_DOUBLE' && source[at] === '\\') {
    const joined = rest(/\\\r?\n((?:[ \t]*\r?\n)*)[ \t]*/y);
    if (joined !== null) return [breaks(joined[1]), joined[0].length];
    const digits = { x: 2, u: 4, U: 8 }[source[at + 1] ?? ''] ?? 0;
    const code = digits === 8 ? Number.parseInt(source.slice(at + 2, at + 10), 16) : 0;
    return [code > 0xffff ? 2 : 1, 2 + digits];
  }
  const folded = rest(/[ \t]*\r?\n((?:[ \t]*\r?\n)*)[ \t]*/y);
  // One line break becomes a space; of several, all but the first stay.
  return folded === null ? [1, 1] : [Math.max(1, breaks(folded[1])), folded[0].length];
}

interface BlockState {
  readonly value: string;
  readonly decoded: number;
  readonly indent: number;
  readonly folded: boolean;
}

function blockPiece(source: string, at: number, { value, decoded, indent, folded }: BlockState): Piece {
  if (source[at - 1] === '\n') {
    const spaces = /^ */.exec(source.slice(at, at + indent))?.[0].length ?? 0;
    if (spaces > 0) return [0, spaces];
  }
  const line = /\r?\n/y;
  line.lastIndex = at;
  const one = line.exec(source);
  if (one === null) return [1, 1];
  if (!folded) return [1, one[0].length];
  const run = new RegExp(`(?:\\r?\\n {0,${indent}}(?=\\r?\\n))*\\r?\\n`, 'y');
  run.lastIndex = at;
  const made = value[decoded] === ' ' ? 1 : (/^\n*/.exec(value.slice(decoded))?.[0].length ?? 0);
  return [made, run.exec(source)?.[0].length ?? one[0].length];
}

/** Columns that the block's indentation takes away: what its first full line has in the source but not in the value. */
function blockIndent(block: string, value: string): number {
  const leading = (text: string): number => /^ *(?=[^ \r\n])/m.exec(text)?.[0].length ?? 0;
  return Math.max(0, leading(block.slice(block.indexOf('\n') + 1)) - leading(value));
}

function breaks(text: string | undefined): number {
  return (text ?? '').split('\n').length - 1;
}
