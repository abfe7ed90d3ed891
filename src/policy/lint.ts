/** What is not wrong in a policy, but is hardly meant. Pure. */
import { closest } from '../document/words.ts';
import type { Fault } from '../document.ts';
import { walk, type Expr } from './cel-check.ts';
import type { Compiled } from './cel.ts';
import { coversGlob, isLiteral, matchesGlob } from './glob.ts';
import type { Place } from './load.ts';
import type { Audience, Policy, Rule, Target } from './policy.ts';

/** Warnings, in the order of the rules. */
export function lintPolicy({ rules }: Policy, place: Place): Fault[] {
  const denies = rules.filter(({ effect, when }) => effect === 'deny' && when === undefined);
  return rules.flatMap((rule) => {
    const warnings = [...prefixWarnings(rule, place), ...missingWarnings(rule, place)];
    if (rule.effect === 'allow' && rule.target.kind === 'methods' && namesToolCalls(rule.target.methods)) {
      const message =
        'this allows every tool too, because a glob matches tools/call; name tools in a rule of their own';
      warnings.push({ ...place(rule, 'methods'), message });
    }
    const cover = rule.effect === 'deny' ? undefined : denies.find((deny) => covers(deny, rule));
    if (cover !== undefined) {
      const message = `rule ${rule.id} has no effect: rule ${cover.id} denies all that it is about`;
      warnings.push({ ...place(rule, 'id'), message });
    }
    return warnings;
  });
}

/**
 * Every entry of a rule's `methods` that matches no method there is, so that the rule is never asked.
 * @param known the methods of the proxy's table
 */
export function methodFaults({ rules }: Policy, place: Place, known: readonly string[]): Fault[] {
  return rules.flatMap((rule) => {
    const globs = rule.target.kind === 'methods' ? rule.target.methods : [];
    return globs.flatMap((glob, index): Fault[] => {
      if (known.some((method) => matchesGlob(glob, method))) return [];
      const near = closest(glob, known);
      const hint = near === undefined ? '' : `; did you mean ${near}?`;
      return [{ ...place(rule, `methods/${index}`), message: `no method is named ${glob}${hint}` }];
    });
  });
}

function namesToolCalls(methods: readonly string[]): boolean {
  return methods.some((glob) => matchesGlob(glob, 'tools/call'));
}

function covers(deny: Rule, rule: Rule): boolean {
  const sameFile = deny.policy === rule.policy;
  const audiences = rule.identities.every((audience) =>
    deny.identities.some((wider) => coversAudience(wider, audience, sameFile)),
  );
  return audiences && coversTarget(deny.target, rule.target);
}

/** Groups are known by their names, and a name says something in its own file only. */
function coversAudience(wider: Audience, audience: Audience, sameFile: boolean): boolean {
  if (wider.members === 'authenticated') return audience.members !== 'anonymous';
  return wider.name === audience.name && (sameFile || wider.members === 'anonymous');
}

function coversTarget(wider: Target, target: Target): boolean {
  if (wider.kind === 'tools') {
    return (
      target.kind === 'tools' &&
      target.tools.every(({ server, tool }) =>
        wider.tools.some((glob) => coversGlob(glob.server, server) && coversGlob(glob.tool, tool)),
      )
    );
  }
  const methods = target.kind === 'tools' ? ['tools/call'] : target.methods;
  const servers = target.kind === 'tools' ? target.tools.map(({ server }) => server) : target.servers;
  return (
    methods.every((method) => wider.methods.some((glob) => coversGlob(glob, method))) &&
    servers.every((server) => wider.servers.some((glob) => coversGlob(glob, server)))
  );
}

function prefixWarnings(rule: Rule, place: Place): Fault[] {
  const { when } = rule;
  if (when === undefined) return [];
  const warnings: Fault[] = [];
  walk(when.parsed.expr, [], (node) => {
    const advice = prefixAdvice(node);
    if (advice !== undefined)
      warnings.push({ ...place(rule, 'when', offsetOf(node, when)), message: advice });
  });
  return warnings;
}

function prefixAdvice({ exprKind }: Expr): string | undefined {
  if (exprKind.case !== 'callExpr' || exprKind.value.function !== 'startsWith') return undefined;
  const { target, args } = exprKind.value;
  const member = target?.exprKind.case === 'selectExpr' ? target.exprKind.value.field : '';
  const literal =
    args[0]?.exprKind.case === 'constExpr' ? args[0].exprKind.value.constantKind.value : undefined;
  const prefix = typeof literal === 'string' ? literal : '';
  if (/ur[il]|href|link/i.test(member) || /^[a-z][a-z0-9+.-]*:\/\//i.test(prefix)) {
    return 'startsWith on a URL accepts https://good.example.evil.example; compare urlHost(...) instead';
  }
  if (/path|file|dir|folder/i.test(member) || prefix.startsWith('/')) {
    return 'startsWith on a path accepts /srv/../etc; use pathUnder(path, root) instead';
  }
  return undefined;
}

/** Functions that fail on what is no string, and so on an argument that is missing. */
const STRING_FUNCTIONS: ReadonlySet<string> = new Set(['pathUnder', 'urlHost']);

/** A glob of tools takes in those that have no such argument; for them the condition fails, which denies the call. */
function missingWarnings(rule: Rule, place: Place): Fault[] {
  const { when, target } = rule;
  if (when === undefined || target.kind !== 'tools' || target.tools.every(({ tool }) => isLiteral(tool)))
    return [];
  const guarded = new Set<string>();
  const used = new Map<string, Expr>();
  walk(when.parsed.expr, [], (node) => {
    const guard = guardedArgument(node);
    if (guard !== undefined) guarded.add(guard);
    if (node.exprKind.case !== 'callExpr' || !STRING_FUNCTIONS.has(node.exprKind.value.function)) return;
    const [first] = node.exprKind.value.args;
    const argument = first && argumentName(first);
    if (argument !== undefined && !used.has(argument)) used.set(argument, node);
  });
  return [...used].flatMap(([argument, node]): Fault[] => {
    if (guarded.has(argument)) return [];
    const message =
      `a call without args.${argument} is denied by this rule, because its condition fails; ` +
      `if that is not meant, write has(args.${argument}) && ...`;
    return [{ ...place(rule, 'when', offsetOf(node, when)), message }];
  });
}

/** The member that `has(args.member)` or `'member' in args` asks for. */
function guardedArgument(node: Expr): string | undefined {
  const { exprKind } = node;
  if (exprKind.case === 'selectExpr') return exprKind.value.testOnly ? argumentName(node) : undefined;
  if (exprKind.case !== 'callExpr' || exprKind.value.function !== '@in') return undefined;
  const [member, list] = exprKind.value.args;
  const constant =
    member?.exprKind.case === 'constExpr' ? member.exprKind.value.constantKind.value : undefined;
  return isArgs(list) && typeof constant === 'string' ? constant : undefined;
}

/** `path` of `args.path`. */
function argumentName({ exprKind }: Expr): string | undefined {
  return exprKind.case === 'selectExpr' && isArgs(exprKind.value.operand) ? exprKind.value.field : undefined;
}

function isArgs(node: Expr | undefined): boolean {
  return node?.exprKind.case === 'identExpr' && node.exprKind.value.name === 'args';
}

function offsetOf({ id }: Expr, { source, parsed }: Compiled): number {
  const offset = parsed.sourceInfo?.positions[String(id)] ?? 0;
  return source[offset] === '.' ? offset + 1 : offset;
}
