/** `serve`: a policy proxy in front of HTTP servers. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadServeConfig } from '../config.ts';
import { VerdictError } from '../errors.ts';
import { checkServe, startServe, type Serving } from '../service.ts';
import { diagnosticsFor, stopSignal } from './process.ts';
import type { Io, Verb } from './verb.ts';

const HELP = `Usage: mcp-verdict serve --config verdict.yaml

Serves every server of the config at /SERVER/mcp (Streamable HTTP), and decides each message by the policy before it
goes on. SIGTERM stops it: calls in flight finish, records are delivered.

A change of the config, or of a policy, keys or TLS file that it names, comes into force without a restart (see
reload.watch; SIGHUP looks at once, and opens log files anew). What is invalid changes nothing and is recorded.

  --config FILE      the configuration; paths in it are relative to it
  --check            read config, policy and keys, say what is wrong, and stop
  --log-level LEVEL  none, error, warn, info (default) or debug; on stderr (also OTEL_LOG_LEVEL)

Decisions go where the config's exporters say, else where OTEL_EXPORTER_OTLP_ENDPOINT says.

Example:
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 mcp-verdict serve --config verdict.yaml
`;

export const serveVerb: Verb = { help: HELP, run };

async function run(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: 'string' }, check: { type: 'boolean' }, 'log-level': { type: 'string' } },
  });
  if (values.config === undefined) throw new VerdictError('usage', { detail: 'serve needs --config FILE' });
  const diagnostics = diagnosticsFor(io, values['log-level'], 'info');
  const config = loadServeConfig(resolve(io.cwd, values.config), io.env);
  const options = { config, env: io.env, cwd: io.cwd, diagnostics };
  if (values.check === true) {
    checkServe(options);
    io.stdout.write(`${values.config}: good\n`);
    return 0;
  }
  const stop = stopSignal(['SIGTERM', 'SIGINT']);
  let serving: Serving | undefined;
  // Before it serves there is nothing to open anew, and nobody may end it by asking for that.
  process.on('SIGHUP', () => void serving?.reload());
  serving = await startServe(options);
  const host = serving.host.includes(':') ? `[${serving.host}]` : serving.host;
  for (const name of config.servers.keys()) {
    diagnostics.info(
      `serving ${name} at ${config.tls === undefined ? 'http' : 'https'}://${host}:${serving.port}/${name}/mcp`,
    );
  }
  await new Promise((resolve) => {
    if (stop.aborted) resolve(undefined);
    else stop.addEventListener('abort', resolve, { once: true });
  });
  diagnostics.info('stopping');
  await serving.stop();
  return 0;
}
