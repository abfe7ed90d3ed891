/**
 * A client that conforms still does behind the proxy: the official suite's own servers, direct, proxied, and reached
 * over stdio through `wrap`. The auth scenarios are left out: the proxy is a resource server of its own, so their
 * tokens are not meant for it.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startClientHost, type ClientHost, type ClientRoute } from './client-host.ts';
import { differences, runSuite, type Edition, type Findings } from './suite.ts';

const SCENARIOS: readonly (readonly [edition: Edition, revision: string, names: readonly string[]])[] = [
  ['legacy', '2025-11-25', ['initialize', 'tools_call', 'elicitation-sep1034-client-defaults', 'sse-retry']],
  [
    'modern',
    '2025-11-25',
    [
      'initialize',
      'tools_call',
      'elicitation-sep1034-client-defaults',
      'sse-retry',
      'json-schema-2020-12-preservation',
    ],
  ],
  [
    'modern',
    '2026-07-28',
    [
      'tools_call',
      'request-metadata',
      'sep-2322-client-request-state',
      'http-standard-headers',
      'http-custom-headers',
      'http-invalid-tool-headers',
      'json-schema-ref-no-deref',
      'json-schema-2020-12-preservation',
    ],
  ],
];

/**
 * The long lane sets MCP_VERDICT_CLIENTS=all. In the fast one the newer edition stands for both: of clients the older one
 * knows nothing else.
 */
const PLAYED = SCENARIOS.filter(
  ([edition]) => edition === 'modern' || process.env['MCP_VERDICT_CLIENTS'] === 'all',
);

/** What was found, without what was only seen: over stdio the session is ended too, which the SDK does not do. */
const judged = (findings: Findings): Findings =>
  new Map(
    [...findings].map(([scenario, checks]) => [scenario, checks.filter((check) => !check.endsWith(' INFO'))]),
  );

/** Measures wall time, so what differs is looked at once more. */
const TIMED = 'sse-retry';
/** Of a scenario: the suite's own is too short where ten processes start at once on a busy machine. */
const TIMEOUT_MS = '120000';

let host: ClientHost;
before(async () => {
  host = await startClientHost();
});
after(() => host?.close());

/** Runs the suite once for all these scenarios, which it plays at once. */
function runScenarios(
  edition: Edition,
  revision: string,
  route: ClientRoute,
  names: readonly string[],
): Promise<Findings> {
  const command = host.command(route, names);
  const version = edition === 'modern' ? ['--spec-version', revision] : [];
  const [name = ''] = names;
  const what = names.length === 1 ? ['--scenario', name] : ['--suite', 'all'];
  return runSuite(edition, ['client', '--command', command, ...what, ...version, '--timeout', TIMEOUT_MS]);
}

for (const [edition, revision, names] of PLAYED) {
  describe(`the conformance suite (${edition}) against a client of ${revision}`, () => {
    const together = names.filter((name) => name !== TIMED);
    const played = new Map<ClientRoute, Promise<Findings>>();
    const run = async (route: ClientRoute, name: string): Promise<Findings> => {
      if (name === TIMED) return await runScenarios(edition, revision, route, [name]);
      const all = played.get(route) ?? runScenarios(edition, revision, route, together);
      played.set(route, all);
      return only(await all, name);
    };
    for (const name of names) {
      test(`${name}: conforms, and no check changes behind the proxy`, async () => {
        const compared = async () => {
          // One after the other: each is many programs at once, or is timed.
          const direct = await run('direct', name);
          const proxied = await run('proxied', name);
          const wrapped = await run('wrapped', name);
          const checks = [...direct.values()].flat();
          assert.ok(checks.some((check) => check.endsWith(' SUCCESS')));
          return [
            ...checks.filter((check) => check.endsWith(' FAILURE')),
            ...differences(direct, proxied),
            ...differences(judged(direct), judged(wrapped)),
          ];
        };
        let found = await compared();
        if (found.length > 0 && name === TIMED) found = await compared();
        assert.deepEqual(found, []);
      });
    }
  });
}

function only(findings: Findings, scenario: string): Findings {
  return new Map([[scenario, findings.get(scenario) ?? assert.fail(`${scenario} has not been played`)]]);
}
