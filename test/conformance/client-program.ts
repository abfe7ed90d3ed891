/**
 * What the suite starts as a client, with the URL of its own server at the end; run with `node`, never imported by a
 * test. With `--proxied` the client speaks to a proxy in front of that server, with `--wrapped` over stdio to one.
 */
import { playScenario } from './fixture-client.ts';
import { startProxy, wrapCommand } from './proxy.ts';
import { httpRoute, stdioRoute } from './routes.ts';

const url = process.argv.at(-1) ?? '';
const proxy = process.argv.includes('--proxied') ? await startProxy(url, 'allows everything') : undefined;
const wrap = process.argv.includes('--wrapped') ? wrapCommand(url) : undefined;
try {
  await playScenario(wrap === undefined ? httpRoute(proxy?.url ?? url) : stdioRoute(wrap));
} catch (error) {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
} finally {
  await proxy?.stop();
  wrap?.remove();
}
process.exit();
