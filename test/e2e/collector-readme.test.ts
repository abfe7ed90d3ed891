/**
 * What collector-config/README.md says is done here, as it stands there: every command is run, every other block is held
 * against the files that it speaks of. Only what needs a product that nobody can have here has a language of its own.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { loadServeConfig } from '../../src/config.ts';
import { findCollector } from '../support/build-collector.ts';
import { CLI, startCommand } from '../support/cli.ts';
import { COLLECTOR_CONFIG_DIRECTORY } from '../support/collector.ts';
import { startFanOut, type FanOut } from '../support/fan-out-scene.ts';
import { DESTINATIONS, skipWithoutDestinations } from '../support/fan-out/kinds.ts';
import { replayCommands } from '../support/fan-out/proof.ts';
import { freePort } from '../support/free-port.ts';
import { MIXED_POLICY } from '../support/mixed-calls.ts';

/** A test that hangs fails, and its processes are ended. */
const TIMEOUT_MS = 180_000;

/** They need Splunk, Datadog, Loki's or Amazon's own tools, and are read here by nobody. */
const OUTSIDE = ['spl', 'spl-export', 'dd', 'dd-export', 'logql', 'logql-export', 's3-lock', 's3-export'];

const README = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'README.md'), 'utf8');

interface Block {
  readonly language: string;
  readonly text: string;
  /** The heading that it stands under. */
  readonly under: string;
}

function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\S*)\n(.*?)^```$/gms)].map(
    ({ 1: language = '', 2: text = '', index }) => ({
      language,
      text,
      under: [...markdown.slice(0, index).matchAll(/^##+ (.*)$/gm)].at(-1)?.[1] ?? '',
    }),
  );
}

const blocks = blocksOf(README);
const commands = blocks.filter(({ language }) => language.startsWith('sh'));
const isCollector = ({ text }: Block): boolean => /^otelcol /m.test(text);

describe('the README of the collector', () => {
  test('no block is in a language that nobody runs or checks', () => {
    const known = new Set(['sh', 'sh-finds-a-hole', 'ini', 'yaml', ...OUTSIDE]);
    assert.deepEqual(
      blocks.filter(({ language }) => !known.has(language)),
      [],
    );
  });

  test('every variable of every file is told, with its default', () => {
    const files = readdirSync(COLLECTOR_CONFIG_DIRECTORY, { recursive: true, encoding: 'utf8' });
    const untold: string[] = [];
    for (const file of files.filter((name) => name.endsWith('.yaml'))) {
      const text = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, file), 'utf8');
      for (const [, name = '', value] of text.matchAll(/\$\{env:([A-Z0-9_]+)(?::-([^${}]*))?\}/g)) {
        const told = value === undefined || value === '' ? `\`${name}\`` : `\`${name}\` (\`${value}\`)`;
        if (!README.includes(told)) untold.push(`${file}: ${told}`);
      }
    }
    assert.deepEqual(untold, []);
  });

  test('the sourcetype that Splunk is told of is the one that is sent', () => {
    const sent = parse(
      readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, 'destinations/splunk.yaml'), 'utf8'),
    ) as {
      readonly exporters: Readonly<Record<'splunk_hec/audit', { readonly sourcetype: string }>>;
    };
    const { sourcetype } = sent.exporters['splunk_hec/audit'];
    const [ini] = blocks.filter(({ language }) => language === 'ini');
    assert.ok(ini !== undefined);
    assert.ok(ini.text.includes(`[${sourcetype}]\n`));
    assert.ok(ini.text.includes(`sourcetype=${sourcetype} `));
  });

  test('mcp-verdict accepts the endpoints, and they are where the strict files listen', (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-readme-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const [yaml, ...others] = blocks.filter(({ language }) => language === 'yaml');
    assert.ok(yaml !== undefined && others.length === 0);
    writeFileSync(join(dir, 'policy.yaml'), MIXED_POLICY);
    const file = join(dir, 'verdict.yaml');
    writeFileSync(
      file,
      `policy: [policy.yaml]\nservers: {a: {url: "http://127.0.0.1:1/mcp"}}\nidentity: {anonymous: allow}\n${yaml.text}`,
    );
    const { exporters = [] } = loadServeConfig(file, {});
    assert.notEqual(exporters.length, 0);
    for (const plan of exporters) {
      assert.ok(plan.kind === 'otlp');
      const { name, endpoint } = plan;
      const strict = readFileSync(join(COLLECTOR_CONFIG_DIRECTORY, `strict/${name}.yaml`), 'utf8');
      assert.ok(endpoint !== undefined && strict.includes(`:-${new URL(endpoint.url).host}}`), name);
      assert.ok(strict.includes(`url: "${endpoint.url}"`), `${name}: its own comment`);
    }
  });
});

describe('the commands of that README', { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS }, () => {
  const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-readme-'));
  const dir = join(root, 'scene');
  let scene: FanOut;
  const env: Record<string, string> = {};

  before(async () => {
    scene = await startFanOut({ dir, topology: 'A', kinds: DESTINATIONS });
    await scene.calls(50);
    await scene.stopProxy();
    await scene.arrived();
    await layDownExports(scene, dir);
    symlinkSync(COLLECTOR_CONFIG_DIRECTORY, join(dir, 'collector-config'));
    const bin = join(root, 'bin');
    mkdirSync(bin);
    symlinkSync(await findCollector(), join(bin, 'otelcol'));
    writeFileSync(join(bin, 'mcp-verdict'), `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`);
    chmodSync(join(bin, 'mcp-verdict'), 0o755);
    Object.assign(env, {
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: scene.collector().httpEndpoint,
    });
  });

  after(async () => {
    await scene?.close();
    rmSync(root, { recursive: true, force: true });
  });

  for (const block of commands.filter(isCollector)) {
    test(`${block.under}: the collector starts: ${lastLine(block)}`, async (t) => {
      // The shell gives way to the collector, so that a signal reaches it.
      const text = block.text.replace(/^otelcol /m, 'exec otelcol ');
      const places = await freePlaces(join(root, 'queue'));
      const collector = startCommand('sh', ['-e', '-c', text], { cwd: dir, env: { ...env, ...places } });
      t.after(() => collector.stop('SIGKILL'));
      await collector.waitFor(/Everything is ready/);
    });
  }

  for (const block of commands.filter((each) => !isCollector(each))) {
    test(`${block.under}: ${lastLine(block)}`, async () => {
      const findsHole = block.language === 'sh-finds-a-hole';
      if (findsHole) cutHole(join(dir, 'splunk.jsonl'));
      const running = startCommand('sh', ['-e', '-c', block.text], { cwd: dir, env });
      running.child.stdin.end();
      const { code } = await running.ended;
      assert.equal(code, findsHole ? 1 : 0, running.stdout() + running.stderr());
      if (!findsHole) return;
      // What it prints is what the next command is given.
      const [[, , , STREAM = '', , FROM = '', , TO = ''] = [], ...more] = replayCommands(running.stdout());
      assert.deepEqual([FROM, TO, more], ['11', '12', []], running.stdout());
      Object.assign(env, { STREAM, FROM, TO });
    });
  }
});

function lastLine({ text }: Block): string {
  return text.trimEnd().replaceAll('\\\n', '').split('\n').at(-1)?.slice(0, 120) ?? '';
}

/** What the commands for the products themselves would have written, from what stands in their place. */
async function layDownExports(scene: FanOut, dir: string): Promise<void> {
  const bodiesOf = async (name: string): Promise<string[]> =>
    (await scene.destination(name).read()).map(({ body }) => body);
  const jsonLines = (values: readonly unknown[]): string =>
    values.map((value) => `${JSON.stringify(value)}\n`).join('');
  const write = (name: string, text: string): void => writeFileSync(join(dir, name), text);
  const splunk = (await bodiesOf('splunk')).map((body) => ({ preview: false, result: { _raw: body } }));
  write('splunk.jsonl', jsonLines(splunk));
  const datadog = (await bodiesOf('datadog')).map((message) => ({ type: 'log', attributes: { message } }));
  write('datadog.json', JSON.stringify({ data: datadog }));
  write('loki.jsonl', jsonLines((await bodiesOf('loki')).map((line) => ({ labels: {}, line }))));
  const objects = join(dir, 'objects');
  mkdirSync(objects);
  await scene.destination('s3').exportTo(objects);
  cpSync(objects, join(dir, 's3'), { recursive: true });
}

/** Takes the records 11 and 12 away. */
function cutHole(file: string): void {
  const lines = readFileSync(file, 'utf8').split('\n');
  const kept = lines.filter((line) => !/\\"verdict\.stream\.sequence\\":1[12],/.test(line));
  assert.equal(kept.length, lines.length - 2);
  writeFileSync(file, kept.join('\n'));
}

async function freePlaces(queue: string): Promise<Record<string, string>> {
  const names = [
    'COLLECTOR_HTTP',
    'COLLECTOR_GRPC',
    'COLLECTOR_HEALTH',
    ...DESTINATIONS.map(({ name }) => `COLLECTOR_STRICT_${name.toUpperCase()}`),
  ];
  const places: Record<string, string> = {
    COLLECTOR_QUEUE_DIRECTORY: queue,
    COLLECTOR_FILE_DIRECTORY: join(queue, 'records'),
    COLLECTOR_METRICS_PORT: String(await freePort()),
  };
  for (const name of names) places[`${name}_ENDPOINT`] = `127.0.0.1:${await freePort()}`;
  return places;
}
