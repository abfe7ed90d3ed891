/** `policy`: checks policy files, and explains what they say about one request. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readTextFile } from '../config/text-file.ts';
import { closest } from '../document/words.ts';
import { formatFault, type Fault } from '../document.ts';
import { VerdictError, errorText } from '../errors.ts';
import { isObject, type Json } from '../event/json.ts';
import { ANONYMOUS, type Identity } from '../identity/identity.ts';
import { evaluate } from '../policy/evaluate.ts';
import { explainRules, type RuleExplanation } from '../policy/explain.ts';
import { lintPolicy, methodFaults } from '../policy/lint.ts';
import { loadPolicy, type LoadResult } from '../policy/load.ts';
import type { Policy } from '../policy/policy.ts';
import type { PolicyRequest, Verdict } from '../policy/verdict.ts';
import { METHODS } from '../proxy/message/methods.ts';
import { parseStrictJson } from '../proxy/message/strict-json.ts';
import { printable } from '../telemetry/diagnostics.ts';
import type { Io, Verb } from './verb.ts';

const HELP = `Usage: mcp-verdict policy check FILE... [--json]
       mcp-verdict policy explain FILE... --server NAME (--tool NAME | --method NAME) [options] [--json]

check    reads policy files together and tells every fault as file:line:column, and what is hardly meant; a rule whose
         methods match no method there is, is a fault too
explain  says what the files decide about one request, and why each rule matched or did not

Options of explain:
  --server NAME      the server, as verdict.yaml names it
  --tool NAME        the tool of a tools/call
  --method NAME      another MCP method, for example resources/read
  --args JSON|@FILE  the arguments of the call; @FILE reads them from a file
  --prompt NAME      the prompt of a prompts/get
  --uri URI          the resource of a resources/read
  --agent NAME       the caller is this agent; may stand with the following three
  --user ID          the caller is this user
  --role ROLE        the caller has this role; may be given several times
  --key ID           the caller has the API key with this id (k_..., without its secret)
  --anonymous        the caller has shown no credentials
  --json             print JSON

Exit codes: 0 the files are good, 2 usage, 3 a file is not valid or cannot be read.

Examples:
  mcp-verdict policy check policy.yaml
  mcp-verdict policy explain policy.yaml --server stripe --tool create_refund \\
    --agent claude-code --args '{"amount": 900}'
`;

export const policyVerb: Verb = { help: HELP, run };

async function run(args: readonly string[], io: Io): Promise<number> {
  const [verb, ...rest] = args;
  if (verb === 'check') return check(rest, io);
  if (verb === 'explain') return explain(rest, io);
  const detail =
    verb === undefined
      ? 'policy needs a verb: check or explain'
      : `there is no policy ${verb}: use check or explain`;
  throw new VerdictError('usage', { detail });
}

function load(files: readonly string[], io: Io): LoadResult {
  if (files.length === 0) throw new VerdictError('usage', { detail: 'name at least one policy file' });
  return loadPolicy(files.map((file) => ({ file, text: readTextFile(resolve(io.cwd, file)) })));
}

function refuse(faults: readonly Fault[], json: boolean, io: Io): number {
  if (json) print(io, { ok: false, faults });
  else for (const fault of faults) io.stderr.write(`${printable(formatFault(fault))}\n`);
  return 3;
}

function print(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

const METHOD_NAMES: readonly string[] = [...new Set(METHODS.map(({ method }) => method))];

// --- check ---

function check(args: readonly string[], io: Io): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  });
  const loaded = load(positionals, io);
  if (!loaded.ok) return refuse(loaded.faults, values.json, io);
  const faults = methodFaults(loaded.policy, loaded.place, METHOD_NAMES);
  if (faults.length > 0) return refuse(faults, values.json, io);
  const { rules, files, digest } = loaded.policy;
  const warnings = lintPolicy(loaded.policy, loaded.place);
  if (values.json) {
    print(io, { ok: true, files, rules: rules.length, digest, warnings });
    return 0;
  }
  for (const warning of warnings) io.stderr.write(`${printable(formatFault(warning))} (warning)\n`);
  const counts = (['deny', 'require_approval', 'allow'] as const).map(
    (effect) => `${rules.filter((rule) => rule.effect === effect).length} ${effect}`,
  );
  io.stdout.write(
    `OK: ${plural(files.length, 'file')}, ${plural(rules.length, 'rule')} (${counts.join(', ')}), ${digest}\n`,
  );
  return 0;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

// --- explain ---

const EXPLAIN_OPTIONS = {
  server: { type: 'string' },
  tool: { type: 'string' },
  method: { type: 'string' },
  args: { type: 'string' },
  prompt: { type: 'string' },
  uri: { type: 'string' },
  agent: { type: 'string' },
  user: { type: 'string' },
  role: { type: 'string', multiple: true },
  key: { type: 'string' },
  anonymous: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

type ExplainValues = ReturnType<typeof parseArgs<{ options: typeof EXPLAIN_OPTIONS }>>['values'];

function explain(args: readonly string[], io: Io): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: EXPLAIN_OPTIONS,
  });
  const request = requestOf(values, io);
  const loaded = load(positionals, io);
  if (!loaded.ok) return refuse(loaded.faults, values.json, io);
  const { verdict, rules } = judge(loaded.policy, request);
  if (values.json) print(io, { verdict, rules });
  else io.stdout.write(printable(explanation(verdict, rules)));
  return 0;
}

interface Judgement {
  readonly verdict: Verdict;
  /** None where policy is not asked. */
  readonly rules: readonly RuleExplanation[];
}

/** What the gate does: a method that neither end may send is denied before policy is asked. */
function judge(policy: Policy, request: PolicyRequest): Judgement {
  const row = METHODS.find(({ method }) => method === request.method);
  if (row === undefined) {
    const near = closest(request.method, METHOD_NAMES);
    const hint = near === undefined ? '' : ` Did you mean ${near}?`;
    const message = `${errorText('method_unknown', { method: request.method })} No rule is asked.${hint}`;
    return {
      verdict: { effect: 'deny', reason: 'method_unknown', message, digest: policy.digest },
      rules: [],
    };
  }
  const unmatched = row.class === 'protocol' ? 'allow' : 'deny';
  const evaluation = evaluate(policy, request, { now: new Date(), unmatched });
  return { verdict: evaluation.verdict, rules: explainRules(evaluation) };
}

function explanation(verdict: Verdict, rules: readonly RuleExplanation[]): string {
  const decider =
    verdict.ruleId === undefined ? 'no rule' : `rule ${verdict.ruleId} in ${verdict.policy?.file ?? ''}`;
  const width = Math.max(0, ...rules.map(({ rule }) => rule.length));
  const lines = rules.map(({ rule, effect, outcome, why }) => {
    const mark = outcome === 'matched' ? '+' : outcome === 'failed' ? '!' : '-';
    return `  ${mark} ${rule.padEnd(width)}  ${effect.padEnd('require_approval'.length)}  ${why}\n`;
  });
  const reasons = lines.length === 0 ? '' : `\n${lines.join('')}`;
  return `${verdict.effect} (${verdict.reason}), decided by ${decider}\n${verdict.message}\n${reasons}`;
}

function requestOf(values: ExplainValues, io: Io): PolicyRequest {
  const { server, tool, prompt, uri } = values;
  if (server === undefined) throw new VerdictError('usage', { detail: 'name the server with --server' });
  if ((tool === undefined) === (values.method === undefined)) {
    throw new VerdictError('usage', { detail: 'give one of --tool and --method' });
  }
  if (values.method === 'tools/call')
    throw new VerdictError('usage', { detail: 'name the tool of the tools/call with --tool' });
  return {
    identity: identityOf(values),
    server,
    method: values.method ?? 'tools/call',
    tool,
    prompt,
    uri,
    args: argumentsOf(values.args, io),
    transport: values.key === undefined ? 'pipe' : 'tcp',
  };
}

function identityOf({ agent, user, role, key, anonymous }: ExplainValues): Identity {
  if (!anonymous) {
    return {
      source: key === undefined ? 'stdio' : 'api_key',
      user,
      roles: role,
      agent: agent === undefined ? undefined : { id: agent, name: agent },
      keyId: key,
    };
  }
  if ([agent, user, role, key].some((fact) => fact !== undefined)) {
    throw new VerdictError('usage', { detail: '--anonymous stands alone: such a caller has proven nothing' });
  }
  return ANONYMOUS;
}

function argumentsOf(given: string | undefined, io: Io): ReadonlyMap<string, Json> {
  if (given === undefined) return new Map();
  const text = given.startsWith('@') ? readTextFile(resolve(io.cwd, given.slice(1))) : given;
  const parsed = parseStrictJson(text);
  if (!parsed.ok)
    throw new VerdictError('usage', { detail: `--args: ${errorText(parsed.code, parsed.details)}` });
  if (!isObject(parsed.value)) throw new VerdictError('usage', { detail: '--args must be a JSON object' });
  return parsed.value;
}
