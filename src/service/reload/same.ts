/** Whether two values are the same, of plain data, maps and URLs: Node compares URLs only from some version on. */
export function isSame(a: unknown, b: unknown): boolean {
  return textOf(a) === textOf(b);
}

function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, (_, member: unknown) => (member instanceof Map ? [...member] : member));
}
