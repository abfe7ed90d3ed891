import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  CEL_ITERATIONS_DEFAULT,
  CEL_ITERATIONS_MAX,
  CEL_WORK_MAX,
  compile,
  run,
  type RunResult,
} from '../../src/policy/cel.ts';
import {
  CEL_ARGUMENTS_BYTES_DEFAULT,
  CEL_ARGUMENTS_BYTES_MAX,
  CEL_DEPTH_MAX,
} from '../../src/policy/cel-value.ts';
import { evaluate, type EvaluateLimits } from '../../src/policy/evaluate.ts';
import { celVariables } from '../../src/policy/variables.ts';
import { ANONYMOUS } from '../../src/identity/identity.ts';
import type { Json } from '../../src/event/json.ts';
import type { PolicyRequest } from '../../src/policy/verdict.ts';
import { jsonArgs, NOW, policyOf, policyText, requestOf } from './support.ts';

const LIMITS: EvaluateLimits = {
  argumentsBytesMax: CEL_ARGUMENTS_BYTES_DEFAULT,
  iterationsMax: CEL_ITERATIONS_DEFAULT,
};

function judge(
  expression: string,
  given: Partial<PolicyRequest> = {},
  limits: Partial<EvaluateLimits> = {},
): RunResult {
  const compiled = compile(expression);
  assert.ok(compiled.ok, compiled.ok ? '' : JSON.stringify(compiled.faults));
  const made = celVariables(requestOf(given), NOW, { ...LIMITS, ...limits });
  return made.ok ? run(compiled.compiled, made.variables) : made;
}

function short(result: RunResult): string {
  return result.ok ? String(result.value) : 'error';
}

describe('what a condition sees', () => {
  const cases: readonly (readonly [expression: string, args: string, result: string])[] = [
    ['args.amount <= 5000', '{"amount": 5000}', 'true'],
    ['args.amount + 1 == 2', '{"amount": 1}', 'true'],
    ['args.amount == 1000', '{"amount": 1000.0}', 'true'],
    ['args.amount == 1000.0', '{"amount": 1e3}', 'true'],
    ['args.id == 9007199254740993', '{"id": 9007199254740993}', 'true'],
    ['args.id == 9007199254740992', '{"id": 9007199254740993}', 'false'],
    ['args.n == 0', '{"n": -0}', 'true'],
    ['args.n > 9223372036854775807', '{"n": 92233720368547758080}', 'true'],
    [
      'type(args.n) == double && type(args.m) == int',
      '{"n": 9223372036854775808, "m": -9223372036854775808}',
      'true',
    ],
    ['args.a.b[1].c == "x"', '{"a": {"b": [0, {"c": "x"}]}}', 'true'],
    ['has(args.a)', '{"a": null}', 'true'],
    ['"a" in args', '{"a": null}', 'true'],
    ['args.a == null', '{"a": null}', 'true'],
    ['has(args.a)', '{}', 'false'],
    ['args.tags.all(t, t in ["a", "b"])', '{"tags": ["a", "b"]}', 'true'],
    ['args.m.exists(k, k == "x")', '{"m": {"x": 1}}', 'true'],
    ['args.l.map(x, x * 2).filter(x, x > 2).size() == 1', '{"l": [1, 2]}', 'true'],
    ['type(args.s) == string && size(args.s) == 2', '{"s": "ab"}', 'true'],
    ['tool.name == "create_refund" && server.name == "stripe"', '{}', 'true'],
    [
      'identity.source == "api_key" && identity.key_id == "k_01J9" && identity.agent.name == "claude-code"',
      '{}',
      'true',
    ],
    ['has(identity.issuer) || has(request.uri) || "x" in identity.roles', '{}', 'false'],
    ['request.method == "tools/call" && request.transport == "tcp"', '{}', 'true'],
    ['.now > timestamp("2020-01-01T00:00:00Z") && .tool.name == tool.name', '{}', 'true'],
    ['now == timestamp("2026-11-22T10:00:00Z") && now.getHours("Europe/Berlin") == 11', '{}', 'true'],
    ['pathUnder(args.path, "/srv")', '{"path": "/srv/../etc"}', 'false'],
    ['pathUnder(args.path, "/srv")', '{"path": "srv/a"}', 'error'],
    ['!pathUnder(args.path, "/srv")', '{"path": "/srv/%2e%2e/etc"}', 'error'],
    ['has(args.path) && pathUnder(args.path, "/srv")', '{}', 'false'],
    ['urlHost(args.url) == "example.com"', '{"url": "https://EXAMPLE.com/x"}', 'true'],
    ['urlHost(args.url) == "example.com"', '{"url": "example.com"}', 'error'],
    ['args.x', '{"x": 1}', 'error'],
    ['args.all(identity, identity == "a")', '{"a": 1}', 'true'],
  ];
  for (const [expression, args, result] of cases) {
    test(`${expression} of ${args}`, () => {
      assert.equal(short(judge(expression, { args: jsonArgs(args) })), result);
    });
  }

  test('who acts for a user can be asked for, and for a caller without there is nobody', () => {
    const identity = { source: 'jwt', user: 'alice', delegation: ['refunds', 'planner'] } as const;
    const planned = '"planner" in identity.delegation && identity.delegation[0] == "refunds"';
    assert.equal(short(judge(planned, { identity })), 'true');
    assert.equal(short(judge('"planner" in identity.delegation', {})), 'false');
    assert.equal(short(judge('identity.delegation.all(a, a.startsWith("re"))', { identity })), 'false');
  });

  test('an anonymous caller has an agent and roles without members', () => {
    const given = { identity: ANONYMOUS };
    assert.equal(
      short(judge('has(identity.agent.id) || has(identity.user) || identity.roles.size() > 0', given)),
      'false',
    );
    assert.equal(short(judge('identity.agent.id == "x"', given)), 'error');
  });
});

describe('hostile arguments are judged as they are, or fail', () => {
  const hostile: readonly (readonly [name: string, args: string])[] = [
    ['a string for a number', '{"amount": "900"}'],
    ['a list around the number', '{"amount": [900]}'],
    ['no such member', '{}'],
    ['another case', '{"Amount": 900}'],
    ['null', '{"amount": null}'],
    ['a map', '{"amount": {"valueOf": 900}}'],
  ];
  const deny = policyOf(
    policyText(
      '  - {id: big, effect: deny, tools: ["*/*"], when: "args.amount > 500"}\n  - {id: all, effect: allow, tools: ["*/*"]}\n',
    ),
  );
  const allow = policyOf(
    policyText('  - {id: small, effect: allow, tools: ["*/*"], when: "args.amount <= 500"}\n'),
  );
  for (const [name, args] of hostile) {
    test(`${name} passes neither a deny nor an allow rule`, () => {
      for (const policy of [deny, allow]) {
        const { verdict } = evaluate(policy, requestOf({ args: jsonArgs(args) }), {
          now: NOW,
          unmatched: 'deny',
        });
        assert.deepEqual([verdict.effect, verdict.reason], ['deny', 'policy_error']);
      }
    });
  }

  const judged: readonly (readonly [args: string, big: string])[] = [
    ['{"amount": 1e400}', 'true'],
    ['{"amount": -1e400}', 'false'],
    ['{"amount": 9007199254740993}', 'true'],
    [`{"amount": ${'9'.repeat(400)}}`, 'true'],
    ['{"amount": 500.0000001}', 'true'],
    [
      '{"amount": 900, "constructor": 1, "__proto__": {"amount": 1}, "hasOwnProperty": 2, "toString": 3}',
      'true',
    ],
    ['{"amount": 900, "s": "\\u0000\\ud83d\\ude00"}', 'true'],
  ];
  for (const [args, big] of judged) {
    test(args.slice(0, 60), () => {
      assert.equal(short(judge('args.amount > 500', { args: jsonArgs(args) })), big);
    });
  }

  test('members of Object.prototype are there only where they were sent', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'get', 'size']) {
      assert.equal(short(judge(`has(args.${name}) || "${name}" in args`)), 'false');
      assert.equal(short(judge(`args.${name} == 1`, { args: jsonArgs(`{"${name}": 1}`) })), 'true');
      assert.equal(short(judge(`args.${name} == 1`)), 'error');
    }
  });

  test('a name of Object.prototype is no variable', () => {
    for (const name of ['constructor', '__proto__', 'toString'])
      assert.equal(compile(`${name} == 1`).ok, false);
  });

  test('any JSON gives true, false or an error, and nothing is thrown', () => {
    const expressions = [
      'args.a > 1',
      'args.a == args.b',
      'args.a.all(x, x != args.b)',
      'has(args.a) && args.a in args.b',
      'args.a.b.c',
      'string(args.a) == "1"',
    ];
    fc.assert(
      fc.property(
        fc.record({ a: fc.jsonValue({ maxDepth: 3 }), b: fc.jsonValue({ maxDepth: 2 }) }),
        fc.constantFrom(...expressions),
        (value, expression) => {
          const args = strictly(value);
          assert.ok(['true', 'false', 'error'].includes(short(judge(expression, { args }))));
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** JSON of fast-check may hold keys that differ only in case, which the parser of messages refuses. */
function strictly(value: unknown): ReadonlyMap<string, Json> {
  const convert = (item: unknown): Json => {
    if (Array.isArray(item)) return item.map(convert);
    if (typeof item === 'object' && item !== null)
      return new Map(Object.entries(item).map(([key, member]) => [key, convert(member)]));
    return typeof item === 'number'
      ? (jsonArgs(`{"n": ${JSON.stringify(item)}}`).get('n') ?? null)
      : (item as Json);
  };
  return convert(value) as ReadonlyMap<string, Json>;
}

describe('cost is bounded', () => {
  const list = (length: number): string => `[${Array(length).fill(1).join(',')}]`;

  test('a pattern that explodes elsewhere is matched in linear time', () => {
    assert.equal(
      short(judge("args.s.matches('^(a+)+$')", { args: jsonArgs(`{"s": "${'a'.repeat(50_000)}b"}`) })),
      'false',
    );
  });

  test('three loops over 200 entries are refused before they run', () => {
    const nested = 'args.l.all(a, args.l.all(b, args.l.all(c, a + b + c > 0)))';
    const result = judge(nested, { args: jsonArgs(`{"l": ${list(200)}}`) });
    assert.deepEqual(result, { ok: false, message: 'it would take more than 10000 iterations' });
  });

  const counted: readonly (readonly [expression: string, iterations: number])[] = [
    ['args.a == 1', 0],
    ['args.l.all(x, x > 0)', 10],
    ['args.l.all(x, args.l.exists(y, x == y))', 110],
    ['args.l.all(x, x in args.l)', 110],
    ['args.x in ["a", "b"]', 2],
    ['["a", "b", "c"].exists(x, x == args.x)', 3],
    ['args.l.exists(x, x > 0) && args.l.all(y, y > 0)', 20],
    ['args.l.map(x, x).all(y, y > 0)', 10 + 10 + 100 / 16],
    ['args.l.filter(x, x in args.l).size() > 0', 110],
    ['{"a": args.l.all(x, x > 0)}.size() == 1', 10],
  ];
  for (const [expression, iterations] of counted) {
    test(`${expression} takes ${iterations} iterations over ten entries`, () => {
      const compiled = compile(expression);
      assert.equal(compiled.ok && compiled.compiled.iterations(10), iterations);
    });
  }

  test('a loop may go as far as the limit, which can be set', () => {
    const at = (length: number, iterationsMax: number) =>
      short(judge('args.l.all(x, x > 0)', { args: jsonArgs(`{"l": ${list(length)}}`) }, { iterationsMax }));
    assert.deepEqual(
      [at(10_000, CEL_ITERATIONS_DEFAULT), at(10_001, CEL_ITERATIONS_DEFAULT)],
      ['true', 'error'],
    );
    assert.deepEqual([at(30, 30), at(31, 30)], ['true', 'error']);
    assert.deepEqual([CEL_ITERATIONS_DEFAULT, CEL_ITERATIONS_MAX], [10_000, 1_000_000]);
  });

  test('reading one long string again and again is stopped, and no || hides it', () => {
    const args = jsonArgs(`{"l": ${list(1000)}, "s": "${'a'.repeat(10_000)}"}`);
    const result = judge("args.l.all(x, !args.s.contains('b')) || true", { args });
    assert.deepEqual(result, { ok: false, message: `it would read more than ${CEL_WORK_MAX} characters` });
    assert.equal(
      short(
        judge("args.l.all(x, !args.s.contains('b'))", {
          args: jsonArgs(`{"l": ${list(50)}, "s": "${'a'.repeat(10_000)}"}`),
        }),
      ),
      'true',
    );
  });

  test('comparing large values again and again is stopped', () => {
    const args = jsonArgs(`{"l": ${list(1000)}, "a": [${list(1000)}], "b": [${list(1000)}]}`);
    assert.equal(short(judge('args.l.all(x, args.a == args.b)', { args })), 'error');
    assert.equal(short(judge('args.l.all(x, args.a in [args.b])', { args })), 'error');
    assert.equal(short(judge('args.a == args.b', { args })), 'true');
  });

  test('arguments may be as large as the limit, which can be set', () => {
    // One byte for each value and the length of keys and strings.
    const at = (length: number, argumentsBytesMax: number) =>
      short(
        judge('args.s != ""', { args: jsonArgs(`{"s": "${'a'.repeat(length)}"}`) }, { argumentsBytesMax }),
      );
    const overhead = 3;
    assert.deepEqual(
      [
        at(CEL_ARGUMENTS_BYTES_DEFAULT - overhead, CEL_ARGUMENTS_BYTES_DEFAULT),
        at(CEL_ARGUMENTS_BYTES_DEFAULT, CEL_ARGUMENTS_BYTES_DEFAULT),
      ],
      ['true', 'error'],
    );
    assert.deepEqual([at(20, 20 + overhead), at(21, 20 + overhead)], ['true', 'error']);
    assert.deepEqual([CEL_ARGUMENTS_BYTES_DEFAULT, CEL_ARGUMENTS_BYTES_MAX], [262_144, 4_194_304]);
  });

  test('arguments over the limit fail only the rules that have a condition', () => {
    const args = jsonArgs(`{"s": "${'a'.repeat(300_000)}"}`);
    const plain = policyOf(policyText('  - {id: a, effect: allow, tools: ["*/*"]}\n'));
    const conditional = policyOf(policyText('  - {id: a, effect: allow, tools: ["*/*"], when: "true"}\n'));
    const options = { now: NOW, unmatched: 'deny' } as const;
    assert.equal(evaluate(plain, requestOf({ args }), options).verdict.effect, 'allow');
    assert.match(
      evaluate(conditional, requestOf({ args }), options).verdict.message,
      /the arguments are larger than 262144 bytes/,
    );
    const raised = { ...options, limits: { argumentsBytesMax: 400_000 } };
    assert.equal(evaluate(conditional, requestOf({ args }), raised).verdict.effect, 'allow');
  });

  test('arguments nested too deeply fail', () => {
    const nested = (levels: number): ReadonlyMap<string, Json> => {
      let value: Json = [];
      for (let level = 2; level < levels; level += 1) value = [value];
      return new Map([['a', value]]);
    };
    assert.equal(short(judge('has(args.a)', { args: nested(CEL_DEPTH_MAX) })), 'true');
    assert.equal(short(judge('has(args.a)', { args: nested(CEL_DEPTH_MAX + 1) })), 'error');
    assert.equal(short(judge('has(args.a)', { args: nested(100_000) })), 'error');
  });

  test('a condition that is fine is compiled however long its logic is', () => {
    const expression = Array.from({ length: 200 }, (_, index) => `args.a != ${index}`).join(' && ');
    assert.equal(short(judge(expression, { args: jsonArgs('{"a": 1000}') })), 'true');
  });
});
