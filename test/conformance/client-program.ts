/**
 * What the suite starts as a client, with the URL of its own server at the end; run with `node`, never imported by a
 * test. With `--proxied` the client speaks to a proxy in front of that server.
 */
import { playScenario } from './fixture-client.ts';
import { startProxy } from './proxy.ts';

const url = process.argv.at(-1) ?? '';
const proxy = process.argv.includes('--proxied') ? await startProxy(url, 'allows everything') : undefined;
try {
  await playScenario(proxy?.url ?? url);
} catch (error) {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
} finally {
  await proxy?.stop();
}
process.exit();
