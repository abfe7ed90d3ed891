/** All policy in force: the rules of all files, ready to be matched. Immutable; a reload makes another. */
import type { ArgumentLevel } from '../event/redact.ts';
import type { Effect } from '../event/vocabulary.ts';
import { isAuthenticated, type Identity } from '../identity/identity.ts';
import type { Compiled } from './cel.ts';
import { isLiteral, matchesGlob, type ToolGlob } from './glob.ts';
import type { DenialStyle, PolicyRef, PolicyRequest } from './verdict.ts';

export interface Policy {
  /** In the order in which they decide: deny, require_approval, allow; within an effect by id. */
  readonly rules: readonly Rule[];
  readonly files: readonly PolicyRef[];
  readonly index: RuleIndex;
  /** `sha256:HEX` of all policy in force, whatever its order, its comments and its layout. */
  readonly digest: string;
}

export interface Rule {
  readonly id: string;
  readonly effect: Effect;
  readonly identities: readonly Audience[];
  readonly target: Target;
  readonly when: Compiled | undefined;
  /** How a denial is told; only of one that denies. */
  readonly style: DenialStyle | undefined;
  /** The author's sentence. */
  readonly reason: string | undefined;
  readonly arguments: ArgumentLevel;
  readonly policy: PolicyRef;
}

/** One entry of a rule's `identities`. */
export interface Audience {
  /** As the rule names it. */
  readonly name: string;
  /** A built-in, or the group's members, of which one has to match. */
  readonly members: 'authenticated' | 'anonymous' | readonly Principal[];
}

export interface Principal {
  readonly kind: 'api_key' | 'agent' | 'user' | 'role';
  readonly value: string;
}

export type Target =
  | { readonly kind: 'tools'; readonly tools: readonly ToolGlob[] }
  | { readonly kind: 'methods'; readonly methods: readonly string[]; readonly servers: readonly string[] };

/** The built-ins of `identities`; no group may have their name. */
export const BUILT_IN_IDENTITIES = ['authenticated', 'anonymous'] as const;

/** Whether one of the audiences holds the identity. */
export function matchesIdentity(audiences: readonly Audience[], identity: Identity): boolean {
  return audiences.some(({ members }) => {
    if (members === 'anonymous') return !isAuthenticated(identity);
    if (!isAuthenticated(identity)) return false;
    return members === 'authenticated' || members.some((principal) => isPrincipal(principal, identity));
  });
}

function isPrincipal({ kind, value }: Principal, identity: Identity): boolean {
  return PROVEN[kind](identity).includes(value);
}

/** What an identity has proven, by the kind of principal that names it. */
const PROVEN: Readonly<Record<Principal['kind'], (identity: Identity) => readonly (string | undefined)[]>> = {
  api_key: ({ keyId }) => [keyId],
  agent: ({ agent }) => [agent?.id, agent?.name],
  user: ({ user }) => [user],
  role: ({ roles }) => roles ?? [],
};

/** Whether the rule is about what is asked for. A method glob may match `tools/call` too. */
export function matchesTarget(target: Target, { method, server, tool }: PolicyRequest): boolean {
  if (target.kind === 'methods') {
    return (
      target.methods.some((glob) => matchesGlob(glob, method)) &&
      target.servers.some((glob) => matchesGlob(glob, server))
    );
  }
  if (method !== 'tools/call' || tool === undefined) return false;
  return target.tools.some((glob) => matchesGlob(glob.server, server) && matchesGlob(glob.tool, tool));
}

/** Rules by what they are about, so that a request meets few that cannot match it. Numbers are positions in `rules`. */
export interface RuleIndex {
  /** Positions in order, each once. By `SERVER/TOOL`, for tools that are named in full. */
  readonly byTool: ReadonlyMap<string, readonly number[]>;
  /** By server, for globs under a server that is named in full. */
  readonly byServer: ReadonlyMap<string, readonly number[]>;
  /** Tool globs with a glob for the server. */
  readonly anyServer: readonly number[];
  readonly methods: readonly number[];
}

export function indexRules(rules: readonly Rule[]): RuleIndex {
  const byTool = new Map<string, number[]>();
  const byServer = new Map<string, number[]>();
  const anyServer: number[] = [];
  const methods: number[] = [];
  rules.forEach(({ target }, position) => {
    if (target.kind === 'methods') {
      methods.push(position);
      return;
    }
    for (const { server, tool } of target.tools) {
      if (!isLiteral(server)) append(anyServer, position);
      else if (isLiteral(tool)) appendTo(byTool, `${server}/${tool}`, position);
      else appendTo(byServer, server, position);
    }
  });
  return { byTool, byServer, anyServer, methods };
}

function appendTo(map: Map<string, number[]>, key: string, position: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [position]);
  else append(list, position);
}

/** A rule may have several globs for one server, and is in its list once. */
function append(list: number[], position: number): void {
  if (list.at(-1) !== position) list.push(position);
}

/** The rules that may be about the request, each once, in the order in which they decide. */
export function candidates(
  { rules, index }: Policy,
  { method, server, tool }: PolicyRequest,
): readonly Rule[] {
  const lists = [index.methods];
  if (method === 'tools/call' && tool !== undefined) {
    lists.push(
      index.byTool.get(`${server}/${tool}`) ?? [],
      index.byServer.get(server) ?? [],
      index.anyServer,
    );
  }
  const filled = lists.filter((list) => list.length > 0);
  const [first = []] = filled;
  // Most requests are in one list, which is in order as it is.
  const positions = filled.length < 2 ? first : [...new Set(filled.flat())].sort((a, b) => a - b);
  return positions.flatMap((position) => rules[position] ?? []);
}
