/**
 * Whether a caller may use something at all, before it is known with which arguments: what a list may show. Pure.
 *
 * What `evaluate` would let through, or hold for an approval, with some arguments is shown; what it would deny with
 * any is hidden, as far as that can be told without them. This decides no call.
 */
import type { Json } from '../event/json.ts';
import { walk } from './cel-check.ts';
import { celUnknown, run, type Bindings, type CelVariables, type Compiled } from './cel.ts';
import { evaluateLimits, type EvaluateLimits } from './evaluate.ts';
import { isGranted } from './grants.ts';
import { matchesIdentity, matchesTarget, type Policy, type Rule } from './policy.ts';
import { celVariables } from './variables.ts';
import type { PolicyRequest } from './verdict.ts';

export type ItemKind = 'tool' | 'prompt' | 'resource' | 'template';

/** Who looks at a list, of which server, and from where. */
export type Viewer = Pick<
  PolicyRequest,
  'identity' | 'server' | 'transport' | 'protocolVersion' | 'clientAddress'
>;

export interface VisibleOptions {
  /** Conditions on the time hold as they do now. */
  readonly now: Date;
  readonly limits?: Partial<EvaluateLimits>;
}

/** @param name of a tool or a prompt; the URI of a resource; of a template nothing is asked but that it is one */
export type Visible = (kind: ItemKind, name: string) => boolean;

/** For one list: what is found out for one item holds for the others, where it does not depend on them. */
export function visibleTo(policy: Policy, viewer: Viewer, options: VisibleOptions): Visible {
  const looks: Partial<Record<ItemKind, Look>> = {};
  return (kind, name) => {
    const request = { ...viewer, ...REQUESTS[kind](name), args: NO_ARGUMENTS };
    const look = (looks[kind] ??= lookAt(policy, kind, request, options));
    return isVisible(policy, request, look);
  };
}

/** One list on the way. */
interface Look {
  readonly kind: ItemKind;
  readonly options: VisibleOptions;
  /** Rules on methods that are about all of its items, and for this caller. */
  readonly forAll: readonly Rule[];
  /** Whether rules on tools are for this caller. */
  readonly audience: Map<Rule, boolean>;
  /** Of conditions that are the same for all items. */
  readonly conditions: Map<Rule, Holds>;
}

/** @param request for any item of the list */
function lookAt(
  { rules, index }: Policy,
  kind: ItemKind,
  request: PolicyRequest,
  options: VisibleOptions,
): Look {
  const forAll = rulesAt(rules, index.methods).filter(
    ({ target, identities }) =>
      matchesTarget(target, request) && matchesIdentity(identities, request.identity),
  );
  return { kind, options, forAll, audience: new Map(), conditions: new Map() };
}

/** Whether a condition holds, for all that is not known; or that it fails. */
type Holds = 'yes' | 'no' | 'maybe' | 'fails';

const NO_ARGUMENTS: ReadonlyMap<string, Json> = new Map();

/** What would be asked for, with all that is known of it. */
const REQUESTS: Readonly<
  Record<ItemKind, (name: string) => Pick<PolicyRequest, 'method' | 'tool' | 'prompt' | 'uri'>>
> = {
  tool: (name) => ({ method: 'tools/call', tool: name }),
  prompt: (name) => ({ method: 'prompts/get', prompt: name }),
  resource: (name) => ({ method: 'resources/read', uri: name }),
  template: () => ({ method: 'resources/read' }),
};

function isVisible(policy: Policy, request: PolicyRequest, look: Look): boolean {
  if (!isGranted(request)) return false;
  let allowed = false;
  // In no order: nothing that hides can be made up for.
  for (const rule of [...look.forAll, ...toolRules(policy, request, look)]) {
    const holds = holdsFor(rule, request, look);
    // Errors deny, whatever the rule's effect.
    if (holds === 'fails' || (holds === 'yes' && rule.effect === 'deny')) return false;
    if (holds !== 'no' && rule.effect !== 'deny') allowed = true;
  }
  return allowed;
}

function toolRules({ rules, index }: Policy, request: PolicyRequest, look: Look): Rule[] {
  const { server, tool } = request;
  if (tool === undefined) return [];
  const { byTool, byServer, anyServer } = index;
  const lists = [byTool.get(`${server}/${tool}`) ?? [], byServer.get(server) ?? [], anyServer];
  return lists.flatMap((positions) =>
    rulesAt(rules, positions).filter(
      (rule) => matchesTarget(rule.target, request) && isFor(rule, request, look),
    ),
  );
}

function rulesAt(rules: readonly Rule[], positions: readonly number[]): Rule[] {
  return positions.flatMap((position) => rules[position] ?? []);
}

function isFor(rule: Rule, { identity }: PolicyRequest, { audience }: Look): boolean {
  let found = audience.get(rule);
  if (found === undefined) audience.set(rule, (found = matchesIdentity(rule.identities, identity)));
  return found;
}

function holdsFor(rule: Rule, request: PolicyRequest, look: Look): Holds {
  const { when } = rule;
  if (when === undefined) return 'yes';
  if (look.kind !== 'template' && when.names.includes(NAMED_BY[look.kind])) return ask(when, request, look);
  let found = look.conditions.get(rule);
  if (found === undefined) look.conditions.set(rule, (found = ask(when, request, look)));
  return found;
}

/** The variable that tells items of a list apart. */
const NAMED_BY = { tool: 'tool', prompt: 'request', resource: 'request' } as const;

function ask(when: Compiled, request: PolicyRequest, { kind, options }: Look): Holds {
  const converted = celVariables(request, options.now, evaluateLimits(options.limits));
  if (!converted.ok) return 'fails';
  const unknown = unknownIn(when, kind);
  const result = run(
    when,
    unknown === undefined ? converted.variables : without(converted.variables, unknown),
  );
  if (result.ok) return result.value ? 'yes' : 'no';
  return unknown === undefined ? 'fails' : 'maybe';
}

/** The variable of a condition that is not known before there is a request. Reading a resource has no arguments. */
function unknownIn({ names, parsed }: Compiled, kind: ItemKind): 'args' | 'request' | undefined {
  if (kind === 'tool' || kind === 'prompt') return names.includes('args') ? 'args' : undefined;
  return kind === 'template' && names.includes('request') && mayReadUri(parsed) ? 'request' : undefined;
}

/** Whether `request` stands there in any other way than as `request.MEMBER` of another member than `uri`. */
function mayReadUri({ expr }: Compiled['parsed']): boolean {
  let all = 0;
  let others = 0;
  walk(expr, [], ({ exprKind }) => {
    if (exprKind.case === 'identExpr' && isRequest(exprKind.value.name)) all += 1;
    if (exprKind.case !== 'selectExpr' || exprKind.value.field === 'uri') return;
    const operand = exprKind.value.operand?.exprKind;
    if (operand?.case === 'identExpr' && isRequest(operand.value.name)) others += 1;
  });
  return all > others;
}

function isRequest(name: string): boolean {
  return name.replace(/^\./, '') === 'request';
}

function without(variables: CelVariables, unknown: 'args' | 'request'): CelVariables {
  const bind = (names: readonly string[]): Bindings => {
    const bindings: Bindings = Object.assign(Object.create(null), variables.bind(names));
    bindings[unknown] = celUnknown();
    return bindings;
  };
  return { ...variables, bind };
}
