import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { runCommand } from '../../src/cli/commands.ts';
import type { Io } from '../../src/cli/verb.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-cli-'));
after(() => rmSync(directory, { recursive: true, force: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const texts = { out: '', err: '' };
  const sink = (name: 'out' | 'err'): Io['stdout'] => {
    const write = (text: string): boolean => ((texts[name] += text), true);
    // The verbs under test write and do nothing else with it.
    return { write } as unknown as Io['stdout'];
  };
  const code = await runCommand(argv, {
    stdin: process.stdin,
    stdout: sink('out'),
    stderr: sink('err'),
    env: {},
    cwd: directory,
  });
  return { code, ...texts };
}

describe('the command line', () => {
  test('without a verb prints its help and exits 2; asked for help, exits 0', async () => {
    assert.equal((await run()).code, 2);
    const help = await run('--help');
    assert.equal(help.code, 0);
    for (const verb of ['wrap', 'serve', 'policy', 'keys', 'demo'])
      assert.match(help.out, new RegExp(`^  ${verb} `, 'm'));
  });

  test('no example of wrap leaves out the name of the server, which the rules of a policy ask for', async () => {
    for (const argv of [['--help'], ['wrap', '--help']]) {
      const { out } = await run(...argv);
      const examples = out
        .slice(out.indexOf('Example'))
        .replaceAll(/\\\n\s*/g, '')
        .split('\n');
      const wraps = examples.filter((line) => line.includes('mcp-verdict wrap'));
      assert.ok(wraps.length > 0);
      for (const line of wraps) assert.match(line, /--server \w+ .*(?:-- \w|https:)/);
    }
  });

  for (const verb of ['wrap', 'serve', 'policy', 'keys', 'demo']) {
    test(`${verb} --help shows its usage and an example`, async () => {
      const { code, out } = await run(verb, '--help');
      assert.equal(code, 0);
      assert.match(out, new RegExp(`^Usage: mcp-verdict ${verb}`));
      assert.match(out, /Example/);
      for (const line of out.split('\n')) assert.ok(line.length <= 120, line);
    });
  }

  const usage: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an unknown verb', ['frobnicate'], /no verb frobnicate/],
    ['an unknown option', ['serve', '--polcy', 'x'], /--polcy/],
    ['serve without config', ['serve'], /needs --config/],
    ['wrap without a command', ['wrap', '--policy', 'p.yaml'], /after --/],
    ['wrap without a policy', ['wrap', '--', 'true'], /needs --policy/],
    ['keys without a sub-verb', ['keys'], /create/],
    ['a log level that is none', ['serve', '--config', 'x', '--log-level', 'loud'], /must be one of/],
  ];
  for (const [what, argv, expected] of usage) {
    test(`${what} is a usage error, exit 2, that says where help is`, async () => {
      const { code, err } = await run(...argv);
      assert.equal(code, 2, err);
      assert.match(err, expected);
      assert.match(err, /Try: mcp-verdict/);
    });
  }

  test('a policy that is broken stops wrap before anything starts: exit 3, file, line and column', async () => {
    writeFileSync(
      join(directory, 'broken.yaml'),
      'apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: x}\nrulez: []\n',
    );
    const marker = join(directory, 'started');
    const { code, err } = await run(
      'wrap',
      '--policy',
      'broken.yaml',
      '--keys-directory',
      directory,
      '--',
      'touch',
      marker,
    );
    assert.equal(code, 3);
    assert.match(err, /broken\.yaml:4:1 /);
    assert.equal(existsSync(marker), false);
  });

  test('a file that is not there is exit 3', async () => {
    const { code, err } = await run('serve', '--config', 'none.yaml');
    assert.equal(code, 3);
    assert.match(err, /none\.yaml cannot be read: there is no such file/);
  });
});
