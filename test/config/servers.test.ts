/** Servers in verdict.yaml that are started as processes: what they get, and what is refused with line and column. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadServeConfig, type ServeConfig } from '../../src/config.ts';
import { VerdictError } from '../../src/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-servers-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function load(server: string, env: Readonly<Record<string, string>> = {}, more = ''): ServeConfig {
  const file = join(directory, 'verdict.yaml');
  writeFileSync(file, `policy: [p.yaml]\nidentity: {api_keys: k.yaml}\nservers:\n  a: ${server}\n${more}`);
  return loadServeConfig(file, env);
}

function commandOf(server: string, env: Readonly<Record<string, string>> = {}) {
  const config = load(server, env).servers.get('a');
  assert.ok(config?.kind === 'stdio');
  return config;
}

function faults(server: string, more = ''): string {
  try {
    load(server, {}, more);
  } catch (error) {
    assert.ok(error instanceof VerdictError);
    return error.message.replaceAll(`${join(directory, 'verdict.yaml')}:`, '');
  }
  return '';
}

describe('a server with a command', () => {
  test('has its arguments, and one process a caller', () => {
    assert.partialDeepStrictEqual(commandOf('{command: npx, args: ["-y", "server", "/srv"]}'), {
      name: 'a',
      share: 'caller',
      command: { command: 'npx', args: ['-y', 'server', '/srv'], cwd: undefined },
    });
    assert.equal(commandOf('{command: npx, share: all}').share, 'all');
  });

  test('is a path relative to the file where it has a slash, and so is its directory', () => {
    const { command } = commandOf('{command: ./bin/server, args: [./x], cwd: data}');
    assert.deepEqual(
      [command.command, command.args, command.cwd],
      [join(directory, 'bin/server'), ['./x'], join(directory, 'data')],
    );
  });

  test('gets of our environment what is no secret, and what stands beside it', () => {
    const ours = {
      HOME: '/home/u',
      LOGNAME: 'u',
      PATH: '/bin',
      SHELL: '/bin/sh',
      TERM: 'dumb',
      USER: '() { :; }; echo',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret',
      MCP_VERDICT_HMAC_KEY: 'secret',
      AWS_SECRET_ACCESS_KEY: 'secret',
      NODE_OPTIONS: '--import=./evil.js',
      TOKEN: 't',
    };
    const { command } = commandOf(
      '{command: x, env: {API_TOKEN: "Bearer ${env:TOKEN}", PATH: /opt/bin}}',
      ours,
    );
    assert.deepEqual(command.env, {
      HOME: '/home/u',
      LOGNAME: 'u',
      PATH: '/opt/bin',
      SHELL: '/bin/sh',
      TERM: 'dumb',
      API_TOKEN: 'Bearer t',
    });
  });

  const CASES: readonly (readonly [what: string, server: string, expected: string])[] = [
    ['neither a url nor a command', '{}', '4:6 must have a url or a command, and not both'],
    ['both', '{url: "http://h/mcp", command: x}', '4:6 must have a url or a command, and not both'],
    ['headers', '{command: x, headers: {a: b}}', '4:28 goes with a url only'],
    [
      'oauth',
      '{command: x, oauth: {token_url: "https://as/t", client_id: a, client_secret: b}}',
      '4:26 goes with a url only',
    ],
    ['arguments of a url', '{url: "http://h/mcp", args: []}', '4:34 goes with a command only'],
    ['an environment of a url', '{url: "http://h/mcp", env: {}}', '4:33 goes with a command only'],
    ['a directory of a url', '{url: "http://h/mcp", cwd: /}', '4:33 goes with a command only'],
    ['sharing of a url', '{url: "http://h/mcp", share: all}', '4:35 goes with a command only'],
    ['a line for a shell', '{command: [sh, -c, x]}', '4:16 must be a string'],
    ['an argument that is no string', '{command: x, args: [1]}', '4:26 must be a string'],
    ['a variable that is no string', '{command: x, env: {A: 1}}', '4:28 must be a string'],
    [
      'a variable without a name',
      '{command: x, env: {"A=B": c}}',
      '4:32 is not a name of an environment variable',
    ],
    ['NUL in a command', String.raw`{command: "x\0"}`, '4:16 must not hold NUL'],
    ['NUL in an argument', String.raw`{command: x, args: ["a\0b"]}`, '4:26 must not hold NUL'],
    ['NUL in a variable', String.raw`{command: x, env: {A: "a\0b"}}`, '4:28 must not hold NUL'],
    [
      'a variable of ours that is not set',
      '{command: x, env: {A: "${env:NONE}"}}',
      '4:28 the environment variable NONE',
    ],
    ['another way to share', '{command: x, share: none}', '4:26 must be one of caller, all'],
    ['an empty command', '{command: ""}', '4:16 must'],
  ];
  for (const [what, server, expected] of CASES) {
    test(`with ${what} is refused`, () => {
      const found = faults(server);
      assert.ok(found.startsWith(expected), found);
    });
  }
});

describe('the limits of processes', () => {
  test('are those of the bridge where nothing is said', () => {
    assert.deepEqual(load('{command: x}').childLimits, {});
  });

  test('can be set', () => {
    const limits =
      'limits: {children: 4096, children_per_server: 8, children_per_caller: 1, child_idle: 24h}\n';
    assert.deepEqual(load('{command: x}', {}, limits).childLimits, {
      childrenMax: 4096,
      serverChildrenMax: 8,
      callerChildrenMax: 1,
      childIdleMs: 86_400_000,
    });
  });

  for (const [limit, expected] of [
    ['children: 0', '5:20 '],
    ['children: 4097', '5:20 '],
    ['children_per_server: 1.5', '5:31 '],
    ['child_idle: 25h', '5:22 must be a time from 1s to 24h'],
    ['child_idle: 1ms', '5:22 must be a time from 1s to 24h'],
    ['child_idle: soon', '5:22 must be a time from 1s to 24h'],
  ] as const) {
    test(`beyond what they may be are refused: ${limit}`, () => {
      const found = faults('{command: x}', `limits: {${limit}}\n`);
      assert.ok(found.startsWith(expected), found);
    });
  }
});
