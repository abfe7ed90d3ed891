/**
 * What can be said of a condition before it runs: names that do not exist, and how many iterations it takes.
 * The engine checks neither (reference: CEL language definition, macros; cel-spec syntax.proto).
 */
import type { parse } from '@bufbuild/cel';
import { closest } from '../document/words.ts';
import { celEngine } from './cel-engine.ts';

export type Expr = ReturnType<typeof parse>['expr'];
export type Positions = Readonly<Record<string, number>>;

/** A fault at a UTF-16 offset of the expression. */
export interface CelFault {
  readonly offset: number;
  readonly message: string;
}

/** The members that a variable has: their own members, or `open` where they are the caller's to choose. */
export interface Shape {
  readonly [member: string]: Shape | 'open';
}

/** The variables of a condition. */
export const VARIABLES: Shape = {
  args: 'open',
  tool: { name: 'open' },
  server: { name: 'open' },
  identity: {
    source: 'open',
    user: 'open',
    roles: 'open',
    agent: { id: 'open', name: 'open' },
    key_id: 'open',
    issuer: 'open',
    delegation: 'open',
  },
  request: {
    method: 'open',
    uri: 'open',
    prompt: 'open',
    transport: 'open',
    protocol_version: 'open',
    client_address: 'open',
  },
  now: 'open',
};

const isType = (name: string): boolean =>
  name === 'list' ||
  name === 'map' ||
  Object.values(celEngine().CelScalar).some((scalar) => scalar.name === name);

/** Operators that the planner handles itself, so that they are no functions of the environment. */
const OPERATORS: ReadonlySet<string> = new Set(['_&&_', '_||_', '_?_:_', '_[_]', '@not_strictly_false']);

/** One overload of a function: its name, whether it is called on a value, and how many arguments it takes. */
export interface Overload {
  readonly name: string;
  readonly method: boolean;
  readonly arity: number;
}

export interface CheckContext {
  readonly source: string;
  readonly positions: Positions;
  readonly overloads: readonly Overload[];
}

/** Every name in the expression that cannot be. */
export function checkNames(expr: Expr, context: CheckContext): CelFault[] {
  const faults: CelFault[] = [];
  walk(expr, [], (node, scope) => {
    const message = faultOf(node, scope, context.overloads);
    if (message === undefined) return;
    const offset = nameOffset(node, context);
    if (!faults.some((fault) => fault.offset === offset)) faults.push({ offset, message });
  });
  return faults.toSorted((a, b) => a.offset - b.offset);
}

function faultOf(node: Expr, scope: readonly string[], overloads: readonly Overload[]): string | undefined {
  switch (node.exprKind.case) {
    case 'identExpr':
      return variableFault(node.exprKind.value.name.replace(/^\./, ''), scope);
    case 'selectExpr':
      return memberFault(node, scope);
    case 'callExpr':
      return callFault(node.exprKind.value, overloads);
    case 'structExpr':
      return node.exprKind.value.messageName === '' ? undefined : 'messages cannot be made in a condition';
    case 'constExpr':
      return literalFault(node.exprKind.value.constantKind);
    case 'listExpr':
    case 'comprehensionExpr':
    case undefined:
      break;
  }
  return undefined;
}

function variableFault(name: string, scope: readonly string[]): string | undefined {
  if (scope.includes(name) || Object.hasOwn(VARIABLES, name) || isType(name)) return undefined;
  return `unknown variable ${name}; ${hint(name, Object.keys(VARIABLES), 'the variables are')}`;
}

function memberFault(node: Expr, scope: readonly string[]): string | undefined {
  if (node.exprKind.case !== 'selectExpr' || node.exprKind.value.operand === undefined) return undefined;
  const shape = shapeOf(node.exprKind.value.operand, scope);
  const { field } = node.exprKind.value;
  if (shape === undefined || shape === 'open' || Object.hasOwn(shape, field)) return undefined;
  return `unknown member ${field}; ${hint(field, Object.keys(shape), 'the members here are')}`;
}

function shapeOf(node: Expr, scope: readonly string[]): Shape | 'open' | undefined {
  if (node.exprKind.case === 'identExpr') {
    const name = node.exprKind.value.name.replace(/^\./, '');
    return scope.includes(name) ? 'open' : VARIABLES[name];
  }
  if (node.exprKind.case !== 'selectExpr' || node.exprKind.value.operand === undefined) return 'open';
  const parent = shapeOf(node.exprKind.value.operand, scope);
  return parent === undefined || parent === 'open' ? 'open' : parent[node.exprKind.value.field];
}

type Call = Extract<Expr['exprKind'], { case: 'callExpr' }>['value'];

function callFault(
  { function: name, target, args }: Call,
  overloads: readonly Overload[],
): string | undefined {
  if (OPERATORS.has(name)) return undefined;
  const named = overloads.filter((overload) => overload.name === name);
  if (named.length === 0) {
    if (MACROS.has(name)) return `${name} is not used as it should be: ${MACROS.get(name)}`;
    const words = overloads.map((overload) => overload.name).filter((known) => /^\w+$/.test(known));
    return `unknown function ${name}; ${hint(name, [...words, ...MACROS.keys()], 'the functions are')}`;
  }
  const method = target !== undefined;
  if (!named.some((overload) => overload.method === method && overload.arity === args.length)) {
    return `${name} is called with the wrong number of arguments, or not on a value`;
  }
  if (name === 'matches' && args[0]?.exprKind.case !== 'constExpr') {
    return 'the pattern of matches must be a literal, so that no caller can choose it';
  }
  return undefined;
}

const MACROS: ReadonlyMap<string, string> = new Map([
  ['has', 'has(args.member)'],
  ['all', 'list.all(x, condition)'],
  ['exists', 'list.exists(x, condition)'],
  ['exists_one', 'list.exists_one(x, condition)'],
  ['map', 'list.map(x, value)'],
  ['filter', 'list.filter(x, condition)'],
]);

type ConstantKind = Extract<Expr['exprKind'], { case: 'constExpr' }>['value']['constantKind'];

function literalFault(constant: ConstantKind): string | undefined {
  const { case: kind, value } = constant;
  const inRange =
    (kind !== 'int64Value' || BigInt.asIntN(64, value) === value) &&
    (kind !== 'uint64Value' || BigInt.asUintN(64, value) === value);
  return inRange ? undefined : 'the number is out of the range of 64 bits';
}

function hint(name: string, known: readonly string[], heading: string): string {
  const near = closest(name, known);
  return near === undefined ? `${heading} ${[...new Set(known)].join(', ')}` : `did you mean ${near}?`;
}

/** The parser puts a member at its dot; people look at its name. */
function nameOffset(node: Expr, { source, positions }: CheckContext): number {
  const offset = positions[String(node.id)] ?? 0;
  return source[offset] === '.'
    ? offset + 1 + (/^\s*/.exec(source.slice(offset + 1))?.[0].length ?? 0)
    : offset;
}

/** The nodes below a node, with the names that are bound for each. */
function children(node: Expr, scope: readonly string[]): [Expr | undefined, readonly string[]][] {
  const kind = node.exprKind;
  switch (kind.case) {
    case 'selectExpr':
      return [[kind.value.operand, scope]];
    case 'callExpr':
      return [kind.value.target, ...kind.value.args].map((child) => [child, scope]);
    case 'listExpr':
      return kind.value.elements.map((child) => [child, scope]);
    case 'structExpr':
      return kind.value.entries.flatMap(({ keyKind, value }) => [
        [keyKind.case === 'mapKey' ? keyKind.value : undefined, scope] as [
          Expr | undefined,
          readonly string[],
        ],
        [value, scope],
      ]);
    case 'comprehensionExpr': {
      const { iterVar, accuVar, iterRange, accuInit, loopCondition, loopStep, result } = kind.value;
      const inside = [...scope, iterVar, accuVar];
      return [
        [iterRange, scope],
        [accuInit, scope],
        [loopCondition, inside],
        [loopStep, inside],
        [result, inside],
      ];
    }
    case 'constExpr':
    case 'identExpr':
    case undefined:
      break;
  }
  return [];
}

/** Visits every node of an expression with the names that macros have bound there. */
export function walk(
  node: Expr,
  scope: readonly string[],
  visit: (node: Expr, scope: readonly string[]) => void,
): void {
  visit(node, scope);
  for (const [child, inner] of children(node, scope)) {
    if (child !== undefined) walk(child, inner, visit);
  }
}

/** The names that an expression looks up, the ones that its macros bind included. */
export function namesIn(expr: Expr): readonly string[] {
  const names = new Set<string>();
  walk(expr, [], ({ exprKind }) => {
    if (exprKind.case === 'identExpr') names.add(exprKind.value.name.replace(/^\./, ''));
  });
  return [...names];
}

/** What an entry of a list made by `map` or `filter` costs for each entry before it: the engine links them up. */
const LINKED_COST = 1 / 16;

/**
 * The iterations that an expression takes at most, as a function of the entries of the largest list or map that it
 * is given. Loops are the macros and `in`; a loop inside of another multiplies.
 */
export function iterations(node: Expr): (largest: number) => number {
  const parts = children(node, []).flatMap(([child]) => (child === undefined ? [] : [child]));
  if (node.exprKind.case === 'comprehensionExpr') return loop(node.exprKind.value);
  const below = parts.map(iterations).filter((cost) => cost !== FREE);
  const searched =
    node.exprKind.case === 'callExpr' && node.exprKind.value.function === '@in' ? parts[1] : undefined;
  const own = searched === undefined ? FREE : passes(searched);
  if (below.length === 0) return own;
  return (largest) => below.reduce((sum, cost) => sum + cost(largest), own(largest));
}

const FREE = (): number => 0;

type Comprehension = Extract<Expr['exprKind'], { case: 'comprehensionExpr' }>['value'];

function loop({ iterRange, loopStep, loopCondition }: Comprehension): (largest: number) => number {
  const [range, step, condition] = [iterRange, loopStep, loopCondition].map((part) =>
    part === undefined ? FREE : iterations(part),
  );
  const times = iterRange === undefined ? FREE : passes(iterRange);
  return (largest) => {
    const inner = 1 + (step?.(largest) ?? 0) + (condition?.(largest) ?? 0);
    return (range?.(largest) ?? 0) + times(largest) * inner;
  };
}

/** What it takes to go through a list once. */
function passes(list: Expr): (largest: number) => number {
  if (list.exprKind.case === 'listExpr') {
    const { length } = list.exprKind.value.elements;
    return () => length;
  }
  let linked = false;
  walk(list, [], (node) => {
    linked ||= node.exprKind.case === 'comprehensionExpr';
  });
  return (largest) => largest + (linked ? largest * largest * LINKED_COST : 0);
}
