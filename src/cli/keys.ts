/** `keys`: makes API keys for callers of `serve`. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { VerdictError } from '../errors.ts';
import { isCurrent, isTime, newApiKey } from '../identity/api-keys.ts';
import { parseToolGlob } from '../policy/glob.ts';
import { addKey } from './keys-file.ts';
import type { Io, Verb } from './verb.ts';

const HELP = `Usage: mcp-verdict keys create --file keys.yaml [--user ID] [--agent NAME] [--role ROLE]... [--grant SERVER/TOOL]...
                               [--expires TIME]

Makes an API key, adds its hash to the keys file (which is created where there is none), and prints the key once.
The file never holds the key itself; only its owner may read it.

  --file FILE      the keys file that verdict.yaml names as identity.api_keys
  --user ID        recorded as user.id
  --agent NAME     recorded as gen_ai.agent.id and gen_ai.agent.name
  --role ROLE      recorded in user.roles; may be given several times
  --grant GLOB     SERVER/TOOL, where * and ? may stand: the key is good for nothing else, whatever rules allow;
                   may be given several times
  --expires TIME   RFC 3339 in UTC, for example 2027-01-31T00:00:00Z

Example:
  mcp-verdict keys create --file keys.yaml --user alice --agent claude-code
  # then, in the client: Authorization: Bearer k_...
`;

export const keysVerb: Verb = { help: HELP, run };

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      file: { type: 'string' },
      user: { type: 'string' },
      agent: { type: 'string' },
      role: { type: 'string', multiple: true },
      grant: { type: 'string', multiple: true },
      expires: { type: 'string' },
    },
  });
  if (positionals[0] !== 'create' || positionals.length > 1) {
    throw new VerdictError('usage', { detail: 'keys has one sub-verb: create' });
  }
  if (values.file === undefined) throw new VerdictError('usage', { detail: 'keys create needs --file' });
  if (values.expires !== undefined && !isTime(values.expires)) {
    const detail = '--expires must be a time in UTC, for example 2027-01-31T00:00:00Z';
    throw new VerdictError('usage', { detail });
  }
  const shapeless = values.grant?.find((grant) => parseToolGlob(grant) === undefined);
  if (shapeless !== undefined) {
    throw new VerdictError('usage', { detail: `--grant must be SERVER/TOOL, not ${shapeless}` });
  }
  const { key, entry } = newApiKey({
    ...(values.user === undefined ? {} : { user: values.user }),
    ...(values.agent === undefined ? {} : { agent: { id: values.agent, name: values.agent } }),
    ...(values.role === undefined ? {} : { roles: values.role }),
    ...(values.grant === undefined ? {} : { grants: values.grant }),
    ...(values.expires === undefined ? {} : { expires: values.expires }),
  });
  await addKey({ path: resolve(io.cwd, values.file), shown: values.file }, entry);
  io.stdout.write(`${key}\n`);
  if (!isCurrent(entry, Date.now())) io.stderr.write(`${entry.id} is of no use: it has expired already.\n`);
  io.stderr.write(
    `Added ${entry.id} to ${values.file}. The key above is shown this once; hand it to its holder.\n`,
  );
  return 0;
}
