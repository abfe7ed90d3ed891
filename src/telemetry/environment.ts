import type { Diagnostics } from './diagnostics.ts';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that is empty or blank counts as not set (OTel specification, SDK environment variables). */
export function readText(env: Environment, name: string): string | undefined {
  const text = env[name]?.trim();
  return text === undefined || text === '' ? undefined : text;
}

/** True only for `true` in any case (OTel specification, boolean values). */
export function readFlag(env: Environment, name: string): boolean {
  return readText(env, name)?.toLowerCase() === 'true';
}

export interface NumberRange {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

/** A whole number; anything else is warned of and counts as not set (OTel specification, numeric values). */
export function readNumber(
  env: Environment,
  name: string,
  range: NumberRange,
  diagnostics: Diagnostics,
): number {
  const text = readText(env, name);
  if (text === undefined) return range.default;
  const value = Number(text);
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return value;
  diagnostics.warn(
    `${name} must be a whole number from ${range.min} to ${range.max}: ${range.default} is used instead`,
  );
  return range.default;
}
