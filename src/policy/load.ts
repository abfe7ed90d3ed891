/**
 * From policy files to the policy in force. All faults of all files are told at once, each where it stands. Pure:
 * whoever calls reads the files.
 */
import { createHash } from 'node:crypto';
import { closest } from '../document/words.ts';
import { readDocument, type Fault, type Position, type ReadDocument } from '../document.ts';
import { compile, type Compiled } from './cel.ts';
import { parseToolGlob, type ToolGlob } from './glob.ts';
import { BUILT_IN_IDENTITIES, indexRules, type Audience, type Policy, type Principal } from './policy.ts';
import type { Rule, Target } from './policy.ts';
import { POLICY_SCHEMA, type PolicyFile, type PrincipalEntry, type RuleEntry } from './schema.ts';
import type { PolicyRef } from './verdict.ts';

/** Rules of all files together. */
export const RULES_DEFAULT = 10_000;
export const RULES_MAX = 100_000;

export interface PolicySource {
  /** As it is to be shown and recorded. */
  readonly file: string;
  readonly text: string;
}

/** Where a member of a rule stands, for warnings. */
export type Place = (
  rule: Rule,
  member: 'id' | 'when' | 'tools' | 'methods' | `methods/${number}`,
  offset?: number,
) => Position & { file: string };

export type LoadResult =
  | { readonly ok: true; readonly policy: Policy; readonly place: Place }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Reads and checks all policy files. An empty list of rules is policy too: it denies everything. */
export function loadPolicy(sources: readonly PolicySource[], limits: { rulesMax?: number } = {}): LoadResult {
  const rulesMax = Math.min(limits.rulesMax ?? RULES_DEFAULT, RULES_MAX);
  const faults: Fault[] = [];
  const loaded: LoadedFile[] = [];
  for (const { file, text } of sources) {
    const document = readDocument({ file, text, schema: POLICY_SCHEMA });
    if (document.ok) loaded.push(loadFile(file, document, faults));
    else faults.push(...document.faults);
  }
  faults.push(...idFaults(loaded, rulesMax));
  if (faults.length > 0) return { ok: false, faults: faults.toSorted((a, b) => order(a, b, sources)) };
  const rules = loaded.flatMap((file) => file.rules.map(({ rule }) => rule)).toSorted(decidingOrder);
  const policy: Policy = {
    rules,
    files: loaded.map(({ ref }) => ref),
    index: indexRules(rules),
    digest: digestOf(loaded.map(({ value }) => value)),
  };
  return { ok: true, policy: Object.freeze(policy), place: placeIn(loaded) };
}

function placeIn(files: readonly LoadedFile[]): Place {
  return (rule, member, offset) => {
    const found = files.find(({ ref }) => ref === rule.policy);
    const index = found?.rules.find((entry) => entry.rule === rule)?.index ?? 0;
    const position = found?.document.locate(`/rules/${index}/${member}`, offset) ?? { line: 1, column: 1 };
    return { file: rule.policy.file, ...position };
  };
}

interface LoadedFile {
  readonly ref: PolicyRef;
  readonly document: ReadDocument;
  readonly value: PolicyFile;
  /** With the position of each in its file; rules with faults are not among them. */
  readonly rules: readonly { readonly rule: Rule; readonly index: number }[];
}

/** What loading a file needs at every step. */
interface Loading {
  readonly value: PolicyFile;
  readonly document: ReadDocument;
  readonly ref: PolicyRef;
  /** Tells a fault of the value at a pointer, or of a character inside of it. */
  readonly fault: (pointer: string, message: string, offset?: number) => void;
}

function loadFile(file: string, document: ReadDocument, faults: Fault[]): LoadedFile {
  // The schema has checked this shape.
  const value = document.value as PolicyFile;
  const ref: PolicyRef = Object.freeze({ name: value.metadata.name, file, version: value.metadata.version });
  const loading: Loading = {
    value,
    document,
    ref,
    fault: (pointer, message, offset) => {
      faults.push({ file, ...document.locate(pointer, offset), message });
    },
  };
  for (const name of BUILT_IN_IDENTITIES) {
    if (value.identities === undefined || !Object.hasOwn(value.identities, name)) continue;
    const message = `${name} is built in; give the group another name`;
    faults.push({ file, ...document.locateKey(`/identities/${name}`), message });
  }
  return {
    ref,
    document,
    value,
    rules: value.rules.map((entry, index) => ({ rule: loadRule(entry, `/rules/${index}`, loading), index })),
  };
}

function loadRule(entry: RuleEntry, pointer: string, loading: Loading): Rule {
  if (entry.style !== undefined && entry.effect !== 'deny') {
    loading.fault(`${pointer}/style`, 'style says how a denial is told, so it goes with effect: deny only');
  }
  return Object.freeze({
    id: entry.id,
    effect: entry.effect,
    identities: (entry.identities ?? ['authenticated']).map((name, index) =>
      loadAudience(name, `${pointer}/identities/${index}`, loading),
    ),
    target: loadTarget(entry, pointer, loading),
    when: entry.when === undefined ? undefined : loadCondition(entry.when, `${pointer}/when`, loading),
    style: entry.style,
    reason: entry.reason,
    arguments: entry.arguments ?? 'redacted',
    policy: loading.ref,
  });
}

function loadAudience(name: string, pointer: string, { value, fault }: Loading): Audience {
  if (name === 'authenticated' || name === 'anonymous') return { name, members: name };
  const groups = value.identities ?? {};
  const group = Object.hasOwn(groups, name) ? groups[name] : undefined;
  if (group === undefined) {
    const known = [...new Set([...Object.keys(groups), ...BUILT_IN_IDENTITIES])];
    const near = closest(name, known);
    const hint = near === undefined ? `the groups here are ${known.join(', ')}` : `did you mean ${near}?`;
    fault(pointer, `unknown group ${name}; ${hint}`);
  }
  return { name, members: (group?.any ?? []).map(principalOf) };
}

function principalOf({ api_key, agent, user, role }: PrincipalEntry): Principal {
  if (api_key !== undefined) return { kind: 'api_key', value: api_key };
  if (agent !== undefined) return { kind: 'agent', value: agent };
  return user === undefined ? { kind: 'role', value: role ?? '' } : { kind: 'user', value: user };
}

function loadTarget(entry: RuleEntry, pointer: string, { fault }: Loading): Target {
  const { id, tools, methods, servers } = entry;
  if (tools !== undefined && methods !== undefined)
    fault(pointer, `rule ${id} names both tools and methods; split it in two`);
  if (tools === undefined && methods === undefined)
    fault(pointer, `rule ${id} names neither tools nor methods`);
  if (tools !== undefined && servers !== undefined) {
    fault(`${pointer}/servers`, 'servers goes with methods only; a tool is named SERVER/TOOL');
  }
  if (methods !== undefined) return { kind: 'methods', methods, servers: servers ?? ['*'] };
  const globs = (tools ?? []).flatMap((text, index): ToolGlob[] => {
    const glob = parseToolGlob(text);
    if (glob === undefined)
      fault(`${pointer}/tools/${index}`, 'a tool is named SERVER/TOOL, for example files/read_file');
    return glob === undefined ? [] : [glob];
  });
  return { kind: 'tools', tools: globs };
}

function loadCondition(source: string, pointer: string, { fault }: Loading): Compiled | undefined {
  const result = compile(source);
  if (result.ok) return result.compiled;
  for (const { offset, message } of result.faults) fault(pointer, message, offset);
  return undefined;
}

function idFaults(files: readonly LoadedFile[], rulesMax: number): Fault[] {
  const first = new Map<string, string>();
  const faults: Fault[] = [];
  for (const { ref, document, rules } of files) {
    for (const { rule, index } of rules) {
      const position = document.locate(`/rules/${index}/id`);
      const earlier = first.get(rule.id);
      if (earlier === undefined) first.set(rule.id, `${ref.file}:${position.line}`);
      else
        faults.push({
          file: ref.file,
          ...position,
          message: `the rule id ${rule.id} is taken, at ${earlier}`,
        });
      if (first.size > rulesMax) {
        faults.push({ file: ref.file, ...position, message: `there are more than ${rulesMax} rules` });
        return faults;
      }
    }
  }
  return faults;
}

function order(a: Fault, b: Fault, sources: readonly PolicySource[]): number {
  const place = ({ file }: Fault): number => sources.findIndex((source) => source.file === file);
  return place(a) - place(b) || a.line - b.line || a.column - b.column;
}

const RANK = { deny: 0, require_approval: 1, allow: 2 } as const;

function decidingOrder(a: Rule, b: Rule): number {
  const byId = a.id < b.id ? -1 : Number(a.id > b.id);
  return RANK[a.effect] - RANK[b.effect] || byId;
}

/** Order of files and keys, comments, layout and file names do not count; what may change a verdict or record does. */
function digestOf(files: readonly PolicyFile[]): string {
  const canonical = files.map((file) => {
    const rules = [...file.rules].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return JSON.stringify({ ...file, rules }, sortedKeys);
  });
  return `sha256:${createHash('sha256').update(canonical.toSorted().join('\n')).digest('hex')}`;
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
