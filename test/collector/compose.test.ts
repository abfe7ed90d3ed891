import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { loadServeConfig } from '../../src/config.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { manifestVersion, skipWithoutCollector } from '../support/build-collector.ts';
import { isOnPath } from '../support/cached-build.ts';
import { COLLECTOR_CONFIG_DIRECTORY, startCollector } from '../support/collector.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TEXT = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');

/** The parser that `docker compose config` is made of, as a program of its own. */
const REFERENCE_PARSER = 'github.com/compose-spec/compose-go/v2/cmd@v2.16.2';

interface Service {
  readonly build?: { readonly dockerfile_inline: string };
  readonly user?: string;
  readonly ports?: readonly string[];
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly healthcheck?: object;
  readonly volumes?: readonly string[];
  readonly configs?: readonly object[];
  readonly read_only?: boolean;
}

interface Compose {
  readonly services: Readonly<Record<'proxy' | 'collector' | 'everything', Service>>;
  readonly configs: Readonly<Record<'verdict' | 'policy', { readonly content: string }>>;
}

// The parser in the first test checks the shape; the tests below fail where it is another.
const compose = parse(TEXT) as Compose;

function hasPlugin(): boolean {
  return spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0;
}

/** The command that reads a compose file whole, or a reason why none can be had. */
function validator(): readonly string[] | string {
  if (hasPlugin()) return ['docker', 'compose', '--file'];
  if (isOnPath('go', process.env)) return ['go', 'run', REFERENCE_PARSER];
  return 'there is neither docker compose nor go on the PATH';
}

const found = validator();
const skipValidation = typeof found === 'string' && process.env['CI'] !== 'true' ? found : false;

function validate(file: string): { status: number | null; stderr: string } {
  assert.ok(typeof found !== 'string', String(found));
  const [command = '', ...args] = found;
  const rest = command === 'docker' ? [file, 'config', '--quiet'] : [file];
  const { status, stderr } = spawnSync(command, [...args, ...rest], { cwd: ROOT, encoding: 'utf8' });
  return { status, stderr };
}

test('docker compose accepts the file, and refuses a misspelt key', { skip: skipValidation }, (t) => {
  const { status, stderr } = validate('docker-compose.yml');
  assert.equal(status, 0, stderr);
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-compose-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const misspelt = join(dir, 'docker-compose.yml');
  writeFileSync(misspelt, TEXT.replace('healthcheck:', 'healthchek:'));
  assert.notEqual(validate(misspelt).status, 0);
});

test('the image of the collector is of the version that the tests run', () => {
  const manifest = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'builder.yaml'), 'utf8');
  const image = `FROM otel/opentelemetry-collector-contrib:${manifestVersion(manifest)}`;
  assert.ok(compose.services.collector.build?.dockerfile_inline.split('\n').includes(image));
});

test('the sample server is of the version that the tests run', () => {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const name = '@modelcontextprotocol/server-everything';
  const { devDependencies } = manifest as { devDependencies: Record<string, string> };
  assert.ok(
    compose.services.everything.build?.dockerfile_inline.includes(`${name}@${devDependencies[name]}`),
  );
});

test('no service runs as root, and no port is open to other hosts', () => {
  for (const [name, { user, ports = [] }] of Object.entries(compose.services)) {
    assert.match(String(user), /^(node|10001:10001)$/, name);
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
  }
});

// https://github.com/docker/compose/issues/12031: it parses, and fails when the container is made.
test('no service with inline configs has a read-only root', () => {
  for (const [name, { configs, read_only: isReadOnly }] of Object.entries(compose.services)) {
    assert.ok(configs === undefined || isReadOnly !== true, name);
  }
});

test('the sample server can only be reached through the proxy', () => {
  assert.equal(compose.services.everything.ports, undefined);
});

test('every service has a healthcheck, but the collector, whose image has nothing to run one with', () => {
  const without = Object.entries(compose.services).filter(([, { healthcheck }]) => healthcheck === undefined);
  assert.deepEqual(
    without.map(([name]) => name),
    ['collector'],
  );
});

test('the configuration of the proxy is one that it accepts', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-compose-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'verdict.yaml');
  writeFileSync(file, compose.configs.verdict.content);
  writeFileSync(join(dir, 'policy.yaml'), compose.configs.policy.content);
  const config = loadServeConfig(file, {});
  assert.deepEqual(config.listen, { host: '0.0.0.0', port: 8080 });
  assert.deepEqual(config.policyFiles, [join(dir, 'policy.yaml')]);
  assert.equal(config.servers.get('everything')?.url.href, 'http://everything:3001/mcp');
  assert.equal(config.anonymous, 'deny');
  const policy = loadPolicy([{ file: 'policy.yaml', text: compose.configs.policy.content }]);
  assert.deepEqual(policy.ok ? [] : policy.faults, []);
  assert.deepEqual(compose.services.proxy.command, ['serve', '--config', '/etc/mcp-verdict/verdict.yaml']);
});

test(
  'the command of the collector receives what the proxy would send',
  { skip: skipWithoutCollector() },
  async (t) => {
    const { command, environment, volumes = [] } = compose.services.collector;
    assert.ok(volumes.includes('./collector-config:/etc/otelcol:ro'));
    assert.ok(command.every((argument) => argument.startsWith('--config=/etc/otelcol/')));
    const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-compose-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const configs = command.map((argument) => argument.slice('--config=/etc/otelcol/'.length));
    // The rig sets the addresses, which are every interface's in a container.
    const own = Object.entries(environment).filter(([name]) => !/_(ENDPOINT|HOST)$/.test(name));
    const collector = await startCollector({ dir, configs, env: Object.fromEntries(own) });
    t.after(collector.stop);
    const response = await fetch(`${collector.httpEndpoint}/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        resourceLogs: [{ scopeLogs: [{ logRecords: [{ eventName: 'verdict.lifecycle' }] }] }],
      }),
    });
    assert.equal(response.status, 200);
    assert.equal(collector.logs()[0]?.eventName, 'verdict.lifecycle');
    const port = compose.services.proxy.environment['OTEL_EXPORTER_OTLP_ENDPOINT']?.split(':').at(-1);
    assert.equal(environment['COLLECTOR_HTTP_ENDPOINT'], `0.0.0.0:${port}`);
  },
);
