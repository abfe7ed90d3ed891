import { VerdictError } from '../errors.ts';

/** A number that may be set: what holds when it is not, and the most that may be asked for. */
export interface Limit {
  readonly default: number;
  readonly maximum: number;
}

/**
 * The value in force of a limit.
 * @throws VerdictError config_invalid where `value` is not a whole number from 1 to the maximum
 */
export function limitOf(name: string, limit: Limit, value: number | undefined): number {
  if (value === undefined) return limit.default;
  if (Number.isInteger(value) && value >= 1 && value <= limit.maximum) return value;
  throw new VerdictError('config_invalid', {
    detail: `${name} is ${value}, expected a whole number from 1 to ${limit.maximum}`,
  });
}

/**
 * The values in force of a table of limits.
 * @throws VerdictError config_invalid, as limitOf
 */
export function limitsOf<Name extends string>(
  rows: Readonly<Record<Name, Limit>>,
  given: Partial<Record<Name, number>>,
): Readonly<Record<Name, number>> {
  const names = Object.keys(rows) as Name[];
  const entries = names.map((name) => [name, limitOf(name, rows[name], given[name])]);
  return Object.fromEntries(entries) as Record<Name, number>;
}
