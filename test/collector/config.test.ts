import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import {
  findCollector,
  manifestModules,
  manifestVersion,
  skipWithoutCollector,
} from '../support/build-collector.ts';
import { COLLECTOR_CONFIG_DIRECTORY, configArguments } from '../support/collector.ts';

const skip = skipWithoutCollector();

/** Files that only make sense together with others, and with which. */
const PROTECTIONS: readonly (readonly string[])[] = [
  [],
  ['auth.yaml'],
  ['tls.yaml'],
  ['tls.yaml', 'mtls.yaml'],
];

const destinations = readdirSync(join(COLLECTOR_CONFIG_DIRECTORY, 'destinations')).map(
  (name) => `destinations/${name}`,
);
const strict = readdirSync(join(COLLECTOR_CONFIG_DIRECTORY, 'strict')).map((name) => `strict/${name}`);
/** What has no default, with the file that needs it and what the collector says without it. */
const REQUIRED: readonly (readonly [variable: string, value: string, file: string, says: RegExp])[] = [
  ['COLLECTOR_TOKEN', 'secret', 'auth.yaml', /bearertokenauth\/ingest: no bearer token provided/],
  [
    'SPLUNK_HEC_URL',
    'https://splunk.example:8088/services/collector/event',
    'destinations/splunk.yaml',
    /splunk_hec\/audit: requires a non-empty "endpoint"/,
  ],
  [
    'SPLUNK_HEC_TOKEN',
    'secret',
    'destinations/splunk.yaml',
    /splunk_hec\/audit: requires a non-empty "token"/,
  ],
  [
    'DD_API_KEY',
    'secret',
    'destinations/datadog.yaml',
    /bearertokenauth\/DD_API_KEY: no bearer token provided/,
  ],
  [
    'LOKI_ENDPOINT',
    'http://loki.example:3100/otlp',
    'destinations/loki.yaml',
    /otlp_http\/loki: at least one endpoint must be specified/,
  ],
  ['S3_BUCKET', 'audit', 'destinations/s3.yaml', /bearertokenauth\/S3_BUCKET: no bearer token provided/],
];
const SECRETS: Readonly<Record<string, string>> = Object.fromEntries(
  REQUIRED.map(([variable, value]) => [variable, value]),
);

let binary = '';
before(async () => {
  if (skip === false) binary = await findCollector();
});

function otelcol(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(binary, args, { env, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

function validate(
  configs: readonly string[],
  env: Readonly<Record<string, string>>,
): ReturnType<typeof otelcol> {
  return otelcol(['validate', ...configArguments(configs)], env);
}

for (const protection of PROTECTIONS) {
  for (const destination of destinations) {
    const configs = ['base.yaml', destination, ...protection];
    test(`the collector accepts ${configs.join(' + ')}`, { skip }, () => {
      assert.deepEqual(validate(configs, SECRETS), { status: 0, output: '' });
    });
  }
}

test('the collector accepts all destinations at once, with every protection', { skip }, () => {
  const configs = ['base.yaml', ...destinations, 'auth.yaml', 'tls.yaml', 'mtls.yaml'];
  assert.deepEqual(validate(configs, SECRETS), { status: 0, output: '' });
});

for (const file of strict) {
  const configs = ['base.yaml', file.replace('strict/', 'destinations/'), file];
  test(`the collector accepts ${configs.join(' + ')}`, { skip }, () => {
    assert.deepEqual(validate(configs, SECRETS), { status: 0, output: '' });
  });

  test(`the collector refuses ${file} without the destination that it makes strict`, { skip }, () => {
    assert.equal(validate(['base.yaml', file], SECRETS).status, 1);
  });
}

test('the collector accepts every destination made strict at once, with TLS', { skip }, () => {
  const configs = ['base.yaml', ...destinations, ...strict, 'tls.yaml'];
  assert.deepEqual(validate(configs, SECRETS), { status: 0, output: '' });
});

test('no configuration file is left out of the tests above', () => {
  const tested = new Set(['base.yaml', 'builder.yaml', ...destinations, ...strict, ...PROTECTIONS.flat()]);
  const shipped = readdirSync(COLLECTOR_CONFIG_DIRECTORY, { recursive: true, encoding: 'utf8' });
  assert.deepEqual(
    // What is for Grafana is tested in dashboards.test.ts.
    shipped.filter((name) => /^(?!dashboards).*\.yaml$/.test(name) && !tested.has(name)),
    [],
  );
});

for (const [variable, , file, says] of REQUIRED) {
  for (const what of ['missing', 'empty'] as const) {
    test(`${variable} that is ${what} is an error that names it, and no start without it`, { skip }, () => {
      const { [variable]: _, ...others } = SECRETS;
      const env = what === 'empty' ? { ...others, [variable]: '' } : others;
      const { status, output } = validate(['base.yaml', ...new Set([...destinations, file])], env);
      assert.equal(status, 1);
      assert.match(output, says);
    });
  }
}

test('a misspelt key is an error, so that a green validate means something', { skip }, () => {
  const configs = [
    ...configArguments(['base.yaml', ...destinations]),
    '--config',
    'yaml:receivers::otlp::protocol: {}',
  ];
  assert.equal(otelcol(['validate', ...configs], SECRETS).status, 1);
});

test('the binary is of the version in builder.yaml and has the components that it names', { skip }, () => {
  const manifest = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'builder.yaml'), 'utf8');
  const { output } = otelcol(['components'], {});
  assert.match(output, new RegExp(`version: ${manifestVersion(manifest).replaceAll('.', '\\.')}`));
  if (process.env['OTELCOL'] !== undefined) return;
  for (const module of manifestModules(manifest))
    assert.ok(output.includes(module), `${module} is not in the binary`);
});

test('all lines of builder.yaml have one version, but for the four that its comment explains', () => {
  const manifest = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'builder.yaml'), 'utf8');
  const minor = manifestVersion(manifest).split('.')[1];
  const others = manifestModules(manifest)
    .filter((module) => !module.endsWith(` v0.${minor}.0`) && !module.includes('/confmap/provider/'))
    .map((module) => module.slice(module.lastIndexOf('/') + 1));
  assert.deepEqual(others, [
    'splunkhecreceiver v0.157.0',
    'awss3exporter v0.156.0',
    'splunkhecexporter v0.157.0',
    'ackextension v0.157.0',
  ]);
});
