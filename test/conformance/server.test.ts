/** A server that conforms still does behind the proxy: the official suite, check by check, direct and proxied. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startCommand, type Running } from '../support/cli.ts';
import { POLICIES, startProxy, type ConformanceProxy, type PolicyName } from './proxy.ts';
import { differences, runSuite, type Edition, type Findings } from './suite.ts';

const RUNS: readonly (readonly [
  title: string,
  edition: Edition,
  args: readonly string[],
  scenarios: number,
])[] = [
  ['0.1.16, all', 'legacy', ['--suite', 'all'], 32],
  ['0.2.0, what 2025-11-25 requires', 'modern', ['--requirements', '2025-11-25'], 33],
  ['0.2.0, what 2026-07-28 requires', 'modern', ['--requirements', '2026-07-28'], 50],
];

/** The fixture accepts every Host and the proxy does not. */
const GUARDED = 'dns-rebinding-protection';
/** Measures wall time, so what differs is looked at once more. */
const TIMED = 'server-sse-polling';

const failures = (findings: Findings): string[] =>
  [...findings].flatMap(([scenario, checks]) =>
    checks.filter((check) => check.endsWith(' FAILURE')).map((check) => `${scenario}: ${check}`),
  );

const without = (findings: Findings, ...scenarios: readonly string[]): Findings =>
  new Map([...findings].filter(([scenario]) => !scenarios.includes(scenario)));

describe('the conformance suite against a server', () => {
  let fixture: Running;
  let url: string;
  const proxies = new Map<PolicyName, ConformanceProxy>();
  const policies = Object.keys(POLICIES) as PolicyName[];

  before(async () => {
    fixture = startCommand(process.execPath, [fileURLToPath(new URL('fixture-server.ts', import.meta.url))]);
    [, url = ''] = await fixture.waitFor(/fixture at (\S+)/);
    await Promise.all(
      policies.map(async (policy) => {
        proxies.set(policy, await startProxy(url, policy));
      }),
    );
  });

  after(async () => {
    await Promise.all([...proxies.values()].map((proxy) => proxy.stop()));
    await fixture?.stop('SIGKILL');
  });

  for (const [title, edition, args, scenarios] of RUNS) {
    describe(title, () => {
      let direct: Findings;

      test('the fixture conforms, but for tasks, which it has not, and for the Host, which it accepts', async () => {
        direct = await runSuite(edition, ['server', '--url', url, ...args]);
        assert.equal(direct.size, scenarios);
        const failed = failures(direct).filter((check) => !check.startsWith('tasks-'));
        assert.ok(failed.length > 0);
        assert.deepEqual(
          failed.filter((check) => !check.startsWith(GUARDED)),
          [],
        );
      });

      for (const policy of policies) {
        test(`a policy that ${policy} changes no check, and makes the server safe from rebinding`, async () => {
          const proxy = proxies.get(policy);
          assert.ok(proxy !== undefined);
          const proxied = await runSuite(edition, ['server', '--url', proxy.url, ...args]);
          assert.deepEqual(
            differences(without(direct, GUARDED, TIMED), without(proxied, GUARDED, TIMED)),
            [],
          );
          const guarded = proxied.get(GUARDED) ?? [];
          assert.ok(
            guarded.length > 0 && guarded.every((check) => check.endsWith(' SUCCESS')),
            guarded.join(),
          );
          if (differences(only(direct, TIMED), only(proxied, TIMED)).length === 0) return;
          const again = ['--scenario', TIMED];
          const [first, second] = [
            await runSuite(edition, ['server', '--url', url, ...again]),
            await runSuite(edition, ['server', '--url', proxy.url, ...again]),
          ];
          assert.deepEqual(differences(first, second), []);
        });
      }
    });
  }
});

function only(findings: Findings, scenario: string): Findings {
  return new Map([[scenario, findings.get(scenario) ?? []]]);
}
