import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadServeConfig } from '../../src/config.ts';
import { checkServe } from '../../src/service.ts';
import { openRecords, sayFiltered, type RecordsOptions } from '../../src/service/records.ts';
import { hear } from '../telemetry/heard.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-service-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const POLICY = `apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: open, version: "1"}
rules:
  - {id: all, effect: allow, tools: ["*/*"]}
`;

function load(exporters: string) {
  const file = join(directory, 'verdict.yaml');
  writeFileSync(join(directory, 'p.yaml'), POLICY);
  writeFileSync(
    file,
    'policy: [p.yaml]\nservers: {a: {url: "http://127.0.0.1:1/mcp"}}\nidentity: {anonymous: allow}\n' +
      `spool: {directory: spool, durability: none}\nexporters: ${exporters}\n`,
  );
  return { config: loadServeConfig(file, {}), env: {}, cwd: directory, diagnostics: hear().diagnostics };
}

describe('serve --check', () => {
  test('is content with an exporter that can be made', () => {
    checkServe(load('{file: {path: a.jsonl}}'));
  });

  test('finds a directory that is not there, and a certificate that is none', () => {
    assert.throws(() => checkServe(load('{file: {path: none/a.jsonl}}')), /there is no directory .*none/);
    const broken = load('{http: {url: "https://h/x", certificate: p.yaml}}');
    assert.throws(() => checkServe(broken), /p\.yaml is not a PEM file/);
  });
});

describe('without a spool', () => {
  for (const [what, exporters] of [
    ['another kind than OTLP', '{audit: {kind: file, path: a.jsonl}}'],
    ['an endpoint of its own', '{otlp: {endpoints: {audit: {url: "http://127.0.0.1:1"}}}}'],
    ['a choice of effects', '{otlp: {effects: [deny]}}'],
  ] as const) {
    test(`an exporter with ${what} is refused, for it would be left out without a word`, () => {
      const { config, env, diagnostics } = load(exporters);
      const options = { ...config, env, diagnostics } as unknown as RecordsOptions;
      assert.throws(() => openRecords(options), /the exporter \w+ needs a spool: set spool\.durability/);
    });
  }
});

test('where every exporter has effects it is said that no destination can prove anything', () => {
  const file = { kind: 'file', required: true, file: { path: '/a', format: 'json' } } as const;
  const [some, all] = [
    { ...file, name: 'some', effects: ['deny'] },
    { ...file, name: 'all' },
  ] as const;
  for (const [exporters, warns] of [
    [[some], true],
    [[some, all], false],
    [[], false],
  ] as const) {
    const { diagnostics, text } = hear();
    sayFiltered(exporters, diagnostics);
    assert.equal(/no destination gets all records/.test(text()), warns);
  }
});
