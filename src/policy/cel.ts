/**
 * The seam to the CEL engine: `compile` a condition once, `run` it for each request. Nothing else touches the engine.
 *
 * The engine has no bound on what an expression may cost. So loops are counted before it runs, and what functions
 * read of long strings and large values is metered while it does.
 */
import type { CelEnv, CelInput, CelValue, parse, plan } from '@bufbuild/cel';
import { checkNames, iterations, namesIn, walk } from './cel-check.ts';
import type { CelFault, Expr, Overload, Positions } from './cel-check.ts';
import { celEngine } from './cel-engine.ts';
import { celFunctions } from './cel-functions.ts';
import { CelLimitError } from './cel-value.ts';

/** UTF-16 units of one condition. */
export const CEL_EXPRESSION_LENGTH_MAX = 4096;
/** Iterations of one condition over one request, all loops multiplied; 10,000 take some 10 ms. */
export const CEL_ITERATIONS_DEFAULT = 10_000;
export const CEL_ITERATIONS_MAX = 1_000_000;
/** Characters and entries that the functions of one condition may read. */
export const CEL_WORK_MAX = 1_000_000;

/** A condition that is ready to run. */
export interface Compiled {
  readonly source: string;
  readonly parsed: ReturnType<typeof parse>;
  /** What it looks up. */
  readonly names: readonly string[];
  /** At most, when the largest list or map has so many entries. */
  readonly iterations: (largest: number) => number;
  readonly evaluate: (bindings: Bindings) => unknown;
}

/** Variables by name, with no prototype, so that no name finds what is not there. */
export type Bindings = Record<string, CelInput>;

export type CompileResult =
  | { readonly ok: true; readonly compiled: Compiled }
  | { readonly ok: false; readonly faults: readonly CelFault[] };

/** What a condition is run on. */
export interface CelVariables {
  /** Gives the variables of these names; others are left out. May throw. */
  readonly bind: (names: readonly string[]) => Bindings;
  /** Entries of the largest list or map in them. */
  readonly largest: number;
  /** All keys and values in them. */
  readonly nodes: number;
  readonly iterationsMax: number;
}

export type RunResult =
  | { readonly ok: true; readonly value: boolean }
  /** The message holds the author's text only, never a value of the request: it is recorded and shown. */
  | { readonly ok: false; readonly message: string };

/** Compiles a condition. All its faults are told, each with its offset. Pure. */
export function compile(source: string): CompileResult {
  if (source.length > CEL_EXPRESSION_LENGTH_MAX) {
    return refuse(0, `the condition is longer than ${CEL_EXPRESSION_LENGTH_MAX} characters`);
  }
  try {
    const { env, overloads } = prepared();
    const { parse, plan } = celEngine();
    const parsed = parse(source);
    const positions = parsed.sourceInfo?.positions ?? {};
    const faults = checkNames(parsed.expr, { source, positions, overloads });
    faults.push(...badPatterns(parsed.expr, positions));
    if (faults.length > 0) return { ok: false, faults };
    const { case: kind, value } = parsed.expr.exprKind;
    if (kind === 'listExpr' || (kind === 'constExpr' && value.constantKind.case !== 'boolValue')) {
      return refuse(0, 'the condition is never true or false');
    }
    const evaluate = plan(env, parsed.expr);
    const names = namesIn(parsed.expr);
    return { ok: true, compiled: { source, parsed, names, iterations: iterations(parsed.expr), evaluate } };
  } catch (error) {
    return { ok: false, faults: [syntaxFault(error)] };
  }
}

/** Runs a condition. Never throws. */
export function run(compiled: Compiled, variables: CelVariables): RunResult {
  const needed = compiled.iterations(variables.largest);
  if (needed > variables.iterationsMax) {
    return { ok: false, message: `it would take more than ${variables.iterationsMax} iterations` };
  }
  try {
    const bindings = variables.bind(compiled.names);
    meter.left = CEL_WORK_MAX;
    meter.nodes = variables.nodes;
    const value = compiled.evaluate(bindings);
    if (typeof value === 'boolean') return { ok: true, value };
    if (celEngine().isCelError(value)) return { ok: false, message: failureWords(value, compiled) };
    return { ok: false, message: 'the condition is neither true nor false' };
  } catch {
    return { ok: false, message: 'the condition cannot be evaluated' };
  }
}

// --- Metering ---

/** Conditions run one at a time and to their end, so one meter serves them all. */
const meter = { left: 0, nodes: 0 };

/** Compiling a pattern costs as much as reading this many characters. */
const PATTERN_WORK = 100;

const COMPARISONS: ReadonlySet<string> = new Set(['_==_', '_!=_']);

function charge(name: string, values: readonly (CelValue | undefined)[]): void {
  meter.left -= name === 'matches' ? PATTERN_WORK : 1;
  if (COMPARISONS.has(name)) {
    if (values.every(isContainer)) meter.left -= meter.nodes;
  } else if (name === '@in') {
    // Going through the list is counted as iterations; what it is compared with may be large too.
    if (isContainer(values[0])) meter.left -= meter.nodes;
  } else {
    for (const value of values) meter.left -= weight(value);
  }
  if (meter.left < 0) throw new CelLimitError(`it would read more than ${CEL_WORK_MAX} characters`);
}

function isContainer(value: CelValue | undefined): boolean {
  const { isCelList, isCelMap } = celEngine();
  return isCelList(value) || isCelMap(value);
}

function weight(value: CelValue | undefined): number {
  if (typeof value === 'string') return value.length;
  const { isCelList, isCelMap } = celEngine();
  return isCelList(value) || isCelMap(value) ? value.size : 0;
}

function meteredEnv(): CelEnv {
  const base = celEngine().celEnv({ funcs: celFunctions() });
  const groups = new Map<string, FuncGroup>();
  for (const { name } of base.funcs) {
    const group = base.funcs.find(name);
    if (group !== undefined) groups.set(name, metered(group));
  }
  const funcs: CelEnv['funcs'] = Object.create(base.funcs, {
    find: { value: (name: string) => groups.get(name) },
  });
  return Object.create(base, { funcs: { value: funcs } }) as CelEnv;
}

type FuncGroup = NonNullable<ReturnType<CelEnv['funcs']['find']>>;

function metered(group: FuncGroup): FuncGroup {
  const call: FuncGroup['call'] = (id, target, args) => {
    charge(group.name, target === undefined ? args : [target, ...args]);
    return group.call(id, target, args);
  };
  return Object.create(group, { call: { value: call } }) as FuncGroup;
}

interface Prepared {
  readonly env: CelEnv;
  readonly overloads: readonly Overload[];
  readonly timestamp: ReturnType<typeof plan>;
  readonly unknown: CelInput;
}

let ready: Prepared | undefined;

/** What all conditions have in common, made for the first one. */
function prepared(): Prepared {
  if (ready !== undefined) return ready;
  const { parse, plan, celError } = celEngine();
  const env = meteredEnv();
  const overloads = [...env.funcs].map((func) => ({
    name: func.name,
    method: func.target !== undefined,
    arity: func.arguments.length,
  }));
  const timestamp = plan(env, parse('timestamp(text)'));
  ready = { env, overloads, timestamp, unknown: celError('not known yet') as unknown as CelInput };
  return ready;
}

/** A moment as CEL has it. */
export function celTimestamp(moment: Date): CelInput {
  meter.left = CEL_WORK_MAX;
  const value = prepared().timestamp({ text: moment.toISOString() });
  if (celEngine().isCelError(value)) throw value;
  return value;
}

/**
 * Stands for what is not known yet. A condition that comes to a value all the same has it whatever this turns out to
 * be: for the engine it is an error, and only what an error cannot change absorbs one (CEL language definition,
 * logical operators).
 */
export const celUnknown = (): CelInput => prepared().unknown;

// --- Words ---

function refuse(offset: number, message: string): CompileResult {
  return { ok: false, faults: [{ offset, message }] };
}

/** The engine compiles a pattern each time that it is used, so a bad one would only show then. */
function badPatterns(expr: Expr, positions: Positions): CelFault[] {
  const faults: CelFault[] = [];
  walk(expr, [], ({ exprKind }) => {
    if (exprKind.case !== 'callExpr' || exprKind.value.function !== 'matches') return;
    const [pattern] = exprKind.value.args;
    if (pattern?.exprKind.case !== 'constExpr') return;
    const { constantKind } = pattern.exprKind.value;
    const offset = positions[String(pattern.id)] ?? 0;
    if (constantKind.case !== 'stringValue') {
      faults.push({ offset, message: 'the pattern of matches must be a string' });
      return;
    }
    const { parse, plan, isCelError } = celEngine();
    const test = plan(prepared().env, parse(`''.matches(${JSON.stringify(constantKind.value)})`));
    meter.left = CEL_WORK_MAX;
    const result: unknown = test();
    if (isCelError(result)) faults.push({ offset, message: `not a valid RE2 pattern: ${result.message}` });
  });
  return faults;
}

function syntaxFault(error: unknown): CelFault {
  if (error instanceof RangeError) return { offset: 0, message: 'the condition is nested too deeply' };
  const { location, found } = error as Partial<ParseError>;
  if (location === undefined) return { offset: 0, message: `not valid CEL: ${(error as Error).message}` };
  const what =
    found === null || found === undefined || found === ''
      ? 'it ends too early'
      : `${JSON.stringify(found)} was not expected`;
  return { offset: location.start.offset, message: `not valid CEL: ${what} here` };
}

/** What the parser of the engine throws; it exports no type for it. */
interface ParseError {
  readonly location: { readonly start: { readonly offset: number } };
  /** Null at the end of the text. */
  readonly found: string | null;
}

interface Failure extends Error {
  readonly exprId: bigint | undefined;
  readonly cause?: unknown;
}

/** The engine's own messages quote values, and a value may be a secret; so only their kind is told. */
function failureWords({ message, exprId, cause }: Failure, { parsed }: Compiled): string {
  if (cause instanceof CelLimitError) return cause.message;
  const kind = FAILURES.find(([start]) => message.startsWith(start))?.[1] ?? 'it failed';
  const where = excerpt(parsed, exprId);
  return where === undefined ? kind : `${kind} in: ${where}`;
}

const FAILURES: readonly (readonly [start: string, words: string])[] = [
  ['field not found', 'a member is missing'],
  ['found no matching overload', 'a value is of the wrong type'],
  ['type mismatch', 'a value is of the wrong type'],
  ['index', 'an index is out of range'],
  ['unresolved attribute', 'a member is missing'],
  ['not a URL', 'a value is not a URL with a plain host'],
  ['not a plain absolute path', 'a value is not a plain absolute path'],
];

function excerpt(parsed: Compiled['parsed'], exprId: bigint | undefined): string | undefined {
  let found: Expr | undefined;
  walk(parsed.expr, [], (node) => {
    if (node.id === exprId) found = node;
  });
  try {
    return found === undefined ? undefined : celEngine().unparse({ ...parsed, expr: found });
  } catch {
    return undefined;
  }
}
