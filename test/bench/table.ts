/** Markdown for people. Pure. */
export type Cell = string | number;

/** First column to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, column) => Math.max(4, ...texts.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  const [first = [], ...rest] = texts;
  return [line(first), line(rule), ...rest.map(line), ''].join('\n');
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}

/** Microseconds as milliseconds. */
export function ms(us: number): string {
  return (us / 1000).toFixed(us < 10_000 ? 3 : 1);
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

export function times(ratio: number): string {
  return `${ratio.toFixed(2)}x`;
}
