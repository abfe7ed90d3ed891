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

let host: ClientHost;
before(async () => {
  host = await startClientHost();
});
after(() => host?.close());

for (const [edition, revision, names] of PLAYED) {
  describe(`the conformance suite (${edition}) against a client of ${revision}`, () => {
    for (const name of names) {
      test(`${name}: conforms, and no check changes behind the proxy`, async () => {
        const run = (route: ClientRoute) => {
          const command = host.command(route);
          const version = edition === 'modern' ? ['--spec-version', revision] : [];
          return runSuite(edition, ['client', '--command', command, '--scenario', name, ...version]);
        };
        const compared = async () => {
          const timed = name === TIMED;
          const first = run('direct');
          if (timed) await first;
          const others = timed ? [] : [run('wrapped')];
          const [direct, proxied, ...rest] = await Promise.all([first, run('proxied'), ...others]);
          const wrapped = rest[0] ?? (await run('wrapped'));
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
