/** Quantities with their units, as config files write them. */

const BYTE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

const TIME_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `10GiB` or a plain number of bytes; undefined for anything else. */
export function parseBytes(text: string | number): number | undefined {
  if (typeof text === 'number') return text;
  return parse(text, BYTE_UNITS);
}

/** `72h`, `10s`, `250ms` as milliseconds; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  return parse(text, TIME_UNITS_MS);
}

export const EXPORT_TIMEOUT_MS_MAX = 300_000;

/** How long one export may take; undefined where nothing is said, or what is said is a fault. */
export function timeoutOf(
  pointer: string,
  text: string | undefined,
  fault: (pointer: string, message: string) => void,
): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms > 0 && ms <= EXPORT_TIMEOUT_MS_MAX) return ms;
  fault(pointer, 'must be a time up to 300s, for example 10s');
  return undefined;
}

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit] = /^(\d{1,15}) ?([A-Za-z]+)$/.exec(text) ?? [];
  const factor = unit !== undefined && Object.hasOwn(units, unit) ? units[unit] : undefined;
  return factor === undefined ? undefined : Number(digits) * factor;
}
