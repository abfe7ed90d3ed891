/** `keys`: makes API keys for callers of `serve`. */
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseDocument } from 'yaml';
import { readTextFile } from '../config.ts';
import { formatFault } from '../document.ts';
import { VerdictError } from '../errors.ts';
import { loadApiKeys, newApiKey } from '../identity/api-keys.ts';
import type { Io, Verb } from './verb.ts';

const HELP = `Usage: mcp-verdict keys create --file keys.yaml [--user ID] [--agent NAME] [--role ROLE]... [--expires TIME]

Makes an API key, adds its hash to the keys file (which is created where there is none), and prints the key once.
The file never holds the key itself.

  --file FILE      the keys file that verdict.yaml names as identity.api_keys
  --user ID        recorded as user.id
  --agent NAME     recorded as gen_ai.agent.id and gen_ai.agent.name
  --role ROLE      recorded in user.roles; may be given several times
  --expires TIME   RFC 3339 in UTC, for example 2027-01-31T00:00:00Z

Example:
  mcp-verdict keys create --file keys.yaml --user alice --agent claude-code
  # then, in the client: Authorization: Bearer k_...
`;

export const keysVerb: Verb = {
  name: 'keys',
  summary: 'make API keys for the callers of serve',
  help: HELP,
  run,
};

function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      file: { type: 'string' },
      user: { type: 'string' },
      agent: { type: 'string' },
      role: { type: 'string', multiple: true },
      expires: { type: 'string' },
    },
  });
  if (positionals[0] !== 'create' || positionals.length > 1) {
    throw new VerdictError('usage', { detail: 'keys has one sub-verb: create' });
  }
  if (values.file === undefined) throw new VerdictError('usage', { detail: 'keys create needs --file' });
  const { key, entry } = newApiKey({
    ...(values.user === undefined ? {} : { user: values.user }),
    ...(values.agent === undefined ? {} : { agent: { id: values.agent, name: values.agent } }),
    ...(values.role === undefined ? {} : { roles: values.role }),
    ...(values.expires === undefined ? {} : { expires: values.expires }),
  });
  const file = resolve(io.cwd, values.file);
  const document = parseDocument(existsSync(file) ? readTextFile(file) : EMPTY);
  document.addIn(['keys'], document.createNode(entry));
  const text = document.toString();
  // The file is checked as `serve` will check it before it is written, so that a bad --expires breaks nothing.
  const loaded = loadApiKeys(file, text);
  if (!loaded.ok)
    throw new VerdictError('config_invalid', { detail: loaded.faults.map(formatFault).join('\n') });
  writeFileSync(file, text, { mode: 0o600 });
  io.stdout.write(`${key}\n`);
  io.stderr.write(
    `Added ${entry.id} to ${values.file}. The key above is shown this once; hand it to its holder.\n`,
  );
  return Promise.resolve(0);
}

const EMPTY = 'apiVersion: mcp-verdict/v1\nkind: ApiKeys\nkeys: []\n';
