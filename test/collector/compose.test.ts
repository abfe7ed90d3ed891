/** docker-compose.yml, without a container engine: what stands in it fits together. compose-run.test.ts runs its commands. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { loadServeConfig } from '../../src/config.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { manifestVersion } from '../support/build-collector.ts';
import { COLLECTOR_CONFIG_DIRECTORY } from '../support/collector.ts';
import {
  COMPOSE_DIRECTORY,
  COMPOSE_TEXT,
  readCompose,
  referenceModel,
  skipWithoutReference,
  wordsOf,
  type Compose,
  type Service,
} from '../support/compose.ts';
import { VERSITYGW } from '../support/s3-server.ts';

const compose = readCompose();
const services: readonly (readonly [string, Service])[] = Object.entries(compose.services);
const skip = skipWithoutReference();

test(
  'the parser of docker compose accepts the file, and reads in it what the tests here read',
  { skip },
  () => {
    const model = referenceModel('docker-compose.yml') as Compose;
    for (const [name, { command, environment = {} }] of services) {
      const service = Object.entries(model.services).find(([each]) => each === name)?.[1];
      assert.ok(service !== undefined, name);
      // A service without a command has that of its image.
      assert.deepEqual(wordsOf(service.command ?? []), wordsOf(command ?? []), name);
      assert.deepEqual(service.environment ?? {}, environment, name);
    }
  },
);

test('the parser of docker compose refuses a misspelt key', { skip }, (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-compose-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const misspelt = join(dir, 'docker-compose.yml');
  writeFileSync(misspelt, COMPOSE_TEXT.replace('healthcheck:', 'healthchek:'));
  assert.throws(() => referenceModel(misspelt), /healthchek/);
});

test('the images of the collector and of the S3 server are of the versions that the tests run', () => {
  const manifest = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'builder.yaml'), 'utf8');
  const { collector, s3 } = compose.services;
  for (const [service, image] of [
    [collector, `otel/opentelemetry-collector-contrib:${manifestVersion(manifest)}`],
    [s3, `versity/versitygw:${VERSITYGW.version}`],
  ] as const)
    assert.ok(service.build?.dockerfile_inline.split('\n').includes(`FROM ${image}`), image);
});

test('the sample server is of the version that the tests run', () => {
  const manifest: unknown = JSON.parse(readFileSync(join(COMPOSE_DIRECTORY, 'package.json'), 'utf8'));
  const name = '@modelcontextprotocol/server-everything';
  const { devDependencies } = manifest as { devDependencies: Record<string, string> };
  assert.ok(
    compose.services.everything.build?.dockerfile_inline.includes(`${name}@${devDependencies[name]}`),
  );
});

test('every image has a version', () => {
  for (const [name, { image, build }] of services) {
    const images = [...(build?.dockerfile_inline ?? '').matchAll(/^FROM (\S+)/gm)].map(([, from]) => from);
    for (const each of image === undefined ? images : [image, ...images])
      assert.match(String(each), /^[\w./-]+:v?\d[\w.-]*$/, name);
  }
});

test('no service runs as root, and no port is open to other hosts', () => {
  for (const [name, { user, ports = [] }] of services) {
    // 472 is whom the image of Grafana is made for.
    assert.match(String(user), /^(node|10001:10001|472:0)$/, name);
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, name);
  }
});

// https://github.com/docker/compose/issues/12031: it parses, and fails when the container is made.
test('no service with inline configs has a read-only root', () => {
  for (const [name, { configs, read_only: isReadOnly }] of services) {
    assert.ok(configs === undefined || isReadOnly !== true, name);
  }
});

test('what is mounted exists, and every volume and every config is declared', () => {
  for (const [name, { volumes = [], configs = [] }] of services) {
    for (const volume of volumes) {
      const [source = ''] = volume.split(':');
      const isThere = source.startsWith('./')
        ? existsSync(join(COMPOSE_DIRECTORY, source))
        : Object.hasOwn(compose.volumes, source);
      assert.ok(isThere, `${name}: ${volume}`);
    }
    for (const { source } of configs) assert.ok(Object.hasOwn(compose.configs, source), `${name}: ${source}`);
  }
});

test('every configuration that a collector is given exists where it is mounted', () => {
  const everything = readCompose({ SPLUNK_HEC_TOKEN: 'x', DD_API_KEY: 'x' }).services;
  for (const name of ['collector', 'splunk-settings', 'datadog-settings'] as const) {
    const { command, volumes } = everything[name];
    assert.ok(volumes?.includes('./collector-config:/etc/otelcol:ro'), name);
    const configs = wordsOf(command).filter((word) => word !== 'validate');
    assert.ok(configs.length > 1, name);
    for (const argument of configs) {
      const [, file = ''] = /^--config=\/etc\/otelcol\/(.+)$/.exec(argument) ?? [];
      assert.ok(existsSync(join(COLLECTOR_CONFIG_DIRECTORY, file)) && file !== '', `${name}: ${argument}`);
    }
  }
});

test('Splunk and Datadog are configured where they are set, and only there', () => {
  const destinations = (variables: Readonly<Record<string, string>>): string[] =>
    wordsOf(readCompose(variables).services.collector.command)
      .map((word) => /destinations\/(\w+)\.yaml$/.exec(word)?.[1] ?? '')
      .filter((name) => name !== '');
  assert.deepEqual(destinations({}), ['file', 'loki', 's3']);
  assert.deepEqual(destinations({ SPLUNK_HEC_TOKEN: 'x' }), ['file', 'loki', 's3', 'splunk']);
  assert.deepEqual(destinations({ DD_API_KEY: 'x' }), ['file', 'loki', 's3', 'datadog']);
});

test('a profile checks what is set before the collector starts, and without it nothing is asked for', () => {
  const profiles = services.filter(([, each]) => each.profiles !== undefined);
  assert.deepEqual(
    profiles.map(([name, each]) => [name, each.profiles]),
    [
      ['splunk-settings', ['splunk']],
      ['datadog-settings', ['datadog']],
    ],
  );
  for (const [name] of profiles) {
    assert.deepEqual(Object(compose.services.collector.depends_on)[name], {
      condition: 'service_completed_successfully',
      required: false,
    });
  }
});

test('Loki is set as its destination asks for', () => {
  const asked = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'destinations/loki.yaml'), 'utf8')
    .split('\n')
    .map((line) => /^# {3}(\w+: \{.*\}) *#/.exec(line)?.[1])
    .filter((line) => line !== undefined);
  assert.equal(asked.length, 3);
  assert.partialDeepStrictEqual(parse(compose.configs.loki.content), parse(asked.join('\n')));
  assert.deepEqual(compose.services.loki.command, [
    `-config.file=${compose.services.loki.configs?.[0]?.target}`,
  ]);
});

test('Grafana finds the dashboard, its provider and its data source where it looks for them', () => {
  const { volumes = [], environment } = compose.services.grafana;
  const mounted = new Map(volumes.map((volume) => [volume.split(':')[1] ?? '', volume.split(':')[0] ?? '']));
  for (const kind of ['datasources', 'dashboards'])
    assert.equal(
      mounted.get(`/etc/grafana/provisioning/${kind}/mcp-verdict.yaml`),
      `./collector-config/dashboards/${kind}.yaml`,
    );
  assert.equal(mounted.get('/var/lib/grafana/dashboards'), './collector-config/dashboards');
  const home = environment['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? '';
  assert.ok(
    existsSync(join(COMPOSE_DIRECTORY, home.replace('/var/lib/grafana/', 'collector-config/'))),
    home,
  );
  assert.equal(environment['LOKI_URL'], 'http://loki:3100');
});

test('the sample server can only be reached through the proxy', () => {
  assert.equal(compose.services.everything.ports, undefined);
});

test('every service of ours has a healthcheck, but the collector, whose image has nothing to run one with', () => {
  const without = services.filter(([, { healthcheck }]) => healthcheck === undefined);
  assert.deepEqual(
    without.map(([name]) => name),
    ['collector', 'splunk-settings', 'datadog-settings', 'loki', 'grafana', 's3', 's3-bucket'],
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
  const url = new URL('http://everything:3001/mcp');
  assert.partialDeepStrictEqual(config.servers.get('everything'), { kind: 'http', url });
  assert.equal(config.anonymous, 'deny');
  const policy = loadPolicy([{ file: 'policy.yaml', text: compose.configs.policy.content }]);
  assert.deepEqual(policy.ok ? [] : policy.faults, []);
  assert.deepEqual(compose.services.proxy.command, ['serve', '--config', '/etc/mcp-verdict/verdict.yaml']);
});
