/** Quantities as people read them. */

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
const BYTE_STEP = 1024;

/** `1.5 GiB` */
export function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.floor(Math.log(bytes) / Math.log(BYTE_STEP));
  const unit = Math.min(power, BYTE_UNITS.length - 1);
  const value = bytes / BYTE_STEP ** unit;
  return `${value.toFixed(value < 10 && unit > 0 ? 1 : 0)} ${BYTE_UNITS[unit] ?? 'B'}`;
}

const TIME_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** `3.5 h`; below a second `12 ms`. */
export function timeText(ms: number): string {
  const [unit, size] = TIME_UNITS.find(([, least]) => ms >= least) ?? ['ms', 1];
  const value = ms / size;
  return `${value.toFixed(value < 10 && size > 1 ? 1 : 0)} ${unit}`;
}

/** `1 file`, `2 files` */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
