/** What `wrap` stands in front of, out of its command line: a command after `--`, or a URL. */
import { headersOf } from '../config/headers.ts';
import { resolveReferences } from '../config/env-reference.ts';
import { VerdictError } from '../errors.ts';
import type { Io } from './verb.ts';

export type WrapTarget =
  | { readonly kind: 'command'; readonly command: string; readonly args: readonly string[] }
  | {
      readonly kind: 'url';
      readonly url: URL;
      /** Names in lower case. May hold secrets. */
      readonly headers: Readonly<Record<string, string>>;
      /** Those of them whose value stands in the list of processes. */
      readonly shown: readonly string[];
    };

/** The options of a URL. */
export const TARGET_OPTIONS = { header: { type: 'string', multiple: true } } as const;

/** @returns what stands before `--`, and the command after it */
export function splitCommand(args: readonly string[]): {
  readonly own: readonly string[];
  readonly command: readonly string[] | undefined;
} {
  const split = args.indexOf('--');
  if (split === -1) return { own: args, command: undefined };
  return { own: args.slice(0, split), command: args.slice(split + 1) };
}

export interface Operands {
  readonly command: readonly string[] | undefined;
  readonly positionals: readonly string[];
  /** Each `NAME: VALUE`. */
  readonly header: readonly string[] | undefined;
}

/** @returns undefined where none is named; throws usage, and config_invalid for a variable that is not there */
export function targetOf({ command, positionals, header }: Operands, io: Io): WrapTarget | undefined {
  const [operand, further] = positionals;
  if (further !== undefined || (operand !== undefined && command !== undefined)) {
    throw usage('wrap stands in front of one server: a URL, or a command after --');
  }
  if (operand !== undefined) {
    const url = serverUrl(operand);
    return { kind: 'url', url, ...requestHeaders(header ?? [], io) };
  }
  if (header !== undefined) throw usage('--header goes with the URL of a server: a command has no headers');
  const [program, ...args] = command ?? [];
  return program === undefined ? undefined : { kind: 'command', command: program, args };
}

function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw usage(`${text} is not an http or https URL; the command of a server goes after --`);
  }
  if (url.username !== '' || url.password !== '') {
    throw usage("the URL must not hold credentials; use --header 'authorization: ... ${env:NAME}'");
  }
  return url;
}

function requestHeaders(
  given: readonly string[],
  { env }: Io,
): Pick<Extract<WrapTarget, { kind: 'url' }>, 'headers' | 'shown'> {
  const values: Record<string, string> = {};
  const shown: string[] = [];
  for (const field of given) {
    const [, name = '', value = ''] = /^([^:]+):(.*)$/s.exec(field) ?? [];
    // What is wrong with a value is told without it.
    const missing = (message: string): void => {
      throw new VerdictError('config_invalid', { detail: `--header ${name}: ${message}` });
    };
    if (name === '') throw usage("--header must be of the form 'NAME: VALUE'");
    const lower = name.toLowerCase();
    if (Object.hasOwn(values, lower)) throw usage(`--header ${name} stands twice`);
    values[lower] = resolveReferences(value.trim(), env, missing);
    if (CREDENTIAL.test(lower) && values[lower] === value.trim()) shown.push(lower);
  }
  const headers = headersOf('', values, (pointer, message) => {
    throw usage(`--header ${pointer.slice(1)} ${message}`);
  });
  return { headers, shown };
}

/** Fields whose value others must not read. */
const CREDENTIAL = /authorization|cookie|key|token|secret/;

function usage(detail: string): VerdictError {
  return new VerdictError('usage', { detail });
}
