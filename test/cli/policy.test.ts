import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { PassThrough } from 'node:stream';
import { policyVerb } from '../../src/cli/policy.ts';
import { VerdictError } from '../../src/errors.ts';
import { METHODS } from '../../src/proxy/message/methods.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-policy-'));
after(() => rmSync(directory, { recursive: true }));

writeFileSync(
  join(directory, 'good.yaml'),
  `apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: payments, version: "3"}
identities:
  bots: {any: [{api_key: k_01J9}, {role: finance}]}
rules:
  - id: refunds-small
    effect: allow
    identities: [bots]
    tools: ["stripe/create_refund"]
    when: args.amount <= 5000
    reason: Small refunds are fine
  - id: never-delete
    effect: deny
    tools: ["*/delete_*"]
  - id: own-files
    effect: require_approval
    tools: ["files/*"]
    when: args.path.startsWith('/srv')
`,
);
writeFileSync(
  join(directory, 'bad.yaml'),
  'apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: b}\nrules: [{id: a}]\n',
);
writeFileSync(
  join(directory, 'typo.yaml'),
  `apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: t}
rules: [{id: a, effect: allow, methods: ["resources/read", resources/raed]}]
`,
);
writeFileSync(
  join(directory, 'methods.yaml'),
  `apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: m}
rules: [{id: all, effect: allow, methods: ["*"]}]
`,
);
writeFileSync(join(directory, 'args.json'), '{"amount": 9000}');

async function run(...args: readonly string[]): Promise<{ exit: number; out: string; err: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const exit = await policyVerb.run(args, {
    stdin: new PassThrough(),
    stdout,
    stderr,
    env: {},
    cwd: directory,
  });
  const textOf = (stream: PassThrough): string => String(stream.read() ?? '');
  return { exit, out: textOf(stdout), err: textOf(stderr) };
}

describe('policy check', () => {
  test('says what it counted, and warns on stderr', async () => {
    const { exit, out, err } = await run('check', 'good.yaml');
    assert.equal(exit, 0);
    assert.match(out, /^OK: 1 file, 3 rules \(1 deny, 1 require_approval, 1 allow\), sha256:[0-9a-f]{64}\n$/);
    assert.match(err, /^good\.yaml:19:21 startsWith on a path .* \(warning\)\n$/);
  });

  test('tells each fault on a line of its own and exits 3', async () => {
    const { exit, out, err } = await run('check', 'bad.yaml', 'good.yaml');
    assert.deepEqual([exit, out, err], [3, '', 'bad.yaml:4:9 the key effect is missing\n']);
  });

  test('refuses a rule whose methods match none that there is', async () => {
    const { exit, out, err } = await run('check', 'typo.yaml');
    assert.deepEqual(
      [exit, out, err],
      [3, '', 'typo.yaml:4:60 no method is named resources/raed; did you mean resources/read?\n'],
    );
    assert.equal((await run('check', 'typo.yaml', '--json')).exit, 3);
  });

  test('prints JSON where it is asked to', async () => {
    const good: unknown = JSON.parse((await run('check', 'good.yaml', '--json')).out);
    assert.partialDeepStrictEqual(good, {
      ok: true,
      files: [{ name: 'payments', file: 'good.yaml', version: '3' }],
      rules: 3,
    });
    const bad = await run('check', '--json', 'bad.yaml');
    assert.equal(bad.exit, 3);
    assert.deepEqual(JSON.parse(bad.out), {
      ok: false,
      faults: [{ file: 'bad.yaml', line: 4, column: 9, message: 'the key effect is missing' }],
    });
  });
});

describe('policy explain', () => {
  test('shows the verdict, the rule that decided, and why each rule matched or not', async () => {
    const { exit, out } = await run(
      'explain',
      'good.yaml',
      '--server',
      'stripe',
      '--tool',
      'create_refund',
      '--key',
      'k_01J9',
      '--args',
      '{"amount": 9}',
    );
    assert.equal(exit, 0);
    assert.equal(
      out,
      `allow (rule), decided by rule refunds-small in good.yaml
Small refunds are fine

  - never-delete   deny              it is about */delete_*
  - own-files      require_approval  it is about files/*
  + refunds-small  allow             it matches, and its condition is true: args.amount <= 5000
`,
    );
  });

  const cases: readonly (readonly [name: string, args: readonly string[], first: string])[] = [
    [
      'arguments come from a file',
      ['--server', 'stripe', '--tool', 'create_refund', '--role', 'finance', '--args', '@args.json'],
      'deny (default), decided by no rule',
    ],
    [
      'a condition that fails denies',
      ['--server', 'stripe', '--tool', 'create_refund', '--role', 'finance'],
      'deny (policy_error), decided by rule refunds-small in good.yaml',
    ],
    [
      'a rule is not for an anonymous caller',
      ['--server', 'x', '--tool', 'delete_x', '--anonymous'],
      'deny (default), decided by no rule',
    ],
    [
      'but for every other',
      ['--server', 'x', '--tool', 'delete_x', '--user', 'alice'],
      'deny (rule), decided by rule never-delete in good.yaml',
    ],
    [
      'a method of the protocol passes',
      ['--server', 'x', '--method', 'tools/list'],
      'allow (default), decided by no rule',
    ],
    [
      'a governed method does not',
      ['--server', 'x', '--method', 'resources/read', '--uri', 'file:///x'],
      'deny (default), decided by no rule',
    ],
  ];
  for (const [name, args, first] of cases) {
    test(name, async () => {
      assert.equal((await run('explain', 'good.yaml', ...args)).out.split('\n')[0], first);
    });
  }

  test('prints JSON where it is asked to', async () => {
    const { out } = await run(
      'explain',
      'good.yaml',
      '--json',
      '--server',
      'x',
      '--tool',
      'delete_x',
      '--agent',
      'claude-code',
    );
    assert.partialDeepStrictEqual(JSON.parse(out) as unknown, {
      verdict: { effect: 'deny', reason: 'rule', ruleId: 'never-delete', policy: { file: 'good.yaml' } },
      rules: [
        { rule: 'never-delete', outcome: 'matched', why: 'it matches' },
        { rule: 'own-files', outcome: 'other_target' },
        {},
      ],
    });
  });

  test('a method that is not in the table is denied, whatever the rules say, as the gate does', async () => {
    const { exit, out } = await run('explain', 'methods.yaml', '--server', 'x', '--method', 'made/up');
    assert.equal(exit, 0);
    assert.match(
      out,
      /^deny \(method_unknown\), decided by no rule\nMethod made\/up is not known .* No rule is asked\.\n$/,
    );
    const typo = await run(
      'explain',
      'methods.yaml',
      '--json',
      '--server',
      'x',
      '--method',
      'resources/raed',
    );
    assert.partialDeepStrictEqual(JSON.parse(typo.out) as unknown, {
      verdict: { effect: 'deny', reason: 'method_unknown' },
      rules: [],
    });
    assert.match(typo.out, /Did you mean resources\/read\?/);
  });

  for (const method of [
    'resources/read',
    'sampling/createMessage',
    'notifications/initialized',
    'tasks/get',
  ]) {
    test(`${method} is in the table, so the rules decide`, async () => {
      const { out } = await run('explain', 'methods.yaml', '--server', 'x', '--method', method);
      assert.match(out, /^allow \(rule\), decided by rule all /);
    });
  }

  test('methods that both ends send are treated alike, so that explain need not ask who sends', () => {
    const classes = new Map(METHODS.map((row) => [row.method, row.class]));
    for (const row of METHODS) assert.equal(row.class, classes.get(row.method), row.method);
  });

  test('exits 3 on a file that is not valid', async () => {
    assert.equal((await run('explain', 'bad.yaml', '--server', 'x', '--tool', 'y')).exit, 3);
  });
});

describe('what was typed wrongly is told before anything is read', () => {
  const cases: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [[], /policy needs a verb/],
    [['chekc'], /there is no policy chekc/],
    [['check'], /name at least one policy file/],
    [['explain', 'good.yaml', '--tool', 'x'], /--server/],
    [['explain', 'good.yaml', '--server', 'x'], /one of --tool and --method/],
    [['explain', 'good.yaml', '--server', 'x', '--method', 'tools/call'], /with --tool/],
    [['explain', 'good.yaml', '--server', 'x', '--tool', 'y', '--method', 'z'], /one of --tool and --method/],
    [
      ['explain', 'good.yaml', '--server', 'x', '--tool', 'y', '--anonymous', '--user', 'z'],
      /--anonymous stands alone/,
    ],
    [['explain', 'good.yaml', '--server', 'x', '--tool', 'y', '--args', '{"a": 1, "a": 2}'], /stands twice/],
    [['explain', 'good.yaml', '--server', 'x', '--tool', 'y', '--args', '[1]'], /must be a JSON object/],
  ];
  for (const [args, message] of cases) {
    test(args.join(' ') || 'nothing', async () => {
      await assert.rejects(
        run(...args),
        (error) => error instanceof VerdictError && error.code === 'usage' && message.test(error.message),
      );
    });
  }

  test('a file that is not there is told by its name', async () => {
    await assert.rejects(
      run('check', 'none.yaml'),
      (error) => error instanceof VerdictError && error.code === 'file_unreadable',
    );
  });
});
