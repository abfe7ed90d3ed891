import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { VerdictError } from '../../../src/errors.ts';
import type { Asked, Origin } from '../../../src/proxy/gate.ts';
import type { Catalogue, ListedTool } from '../../../src/proxy/lists/catalogue.ts';
import { createListChanges } from '../../../src/proxy/lists/changes.ts';
import {
  createLists,
  LIST_ITEMS_MAX,
  LIST_TTL_MS_MAX,
  type ListsOptions,
} from '../../../src/proxy/lists/lists.ts';
import { NOW, policyOf, policyText } from '../../policy/support.ts';

const POLICY = policyOf(
  policyText(`  - {id: a, effect: allow, tools: ["s/*"]}
  - {id: b, effect: deny, tools: ["s/drop*"]}
  - {id: c, effect: allow, methods: [prompts/get], when: 'request.prompt != "drop"'}
  - {id: d, effect: allow, methods: [resources/read], when: 'request.uri != "doc://drop"'}
`),
);
const origin: Origin = {
  server: { name: 's' },
  transport: 'tcp',
  identity: { source: 'api_key', user: 'alice' },
  claimed: {},
};
const TOOLS: Asked = { method: 'tools/list', modern: false, protocolVersion: '2025-11-25' };

const OPTIONS: ListsOptions = { policy: () => POLICY, now: () => NOW };

interface Given extends Partial<ListsOptions> {
  readonly asked?: Asked | undefined;
}

function show(text: string, { asked, ...options }: Given = { asked: TOOLS }): string {
  const bytes = Buffer.from(text);
  const shown = createLists({ ...OPTIONS, ...options })(bytes, asked, origin);
  if (!shown.ok) return `refused: ${shown.code}`;
  const left = Buffer.from(shown.bytes).toString();
  // Nothing to change means nothing touched.
  assert.equal(shown.bytes === bytes, left === text);
  return left;
}

const answer = (result: string): string => `{"jsonrpc":"2.0","id":1,"result":${result}}`;
const asked = (method: string): Given => ({ asked: { method, modern: false, protocolVersion: undefined } });
const UNKNOWN: Given = { asked: undefined };

describe('a list', () => {
  const vectors: readonly (readonly [what: string, method: string, result: string, left: string])[] = [
    [
      'keeps what the caller may use',
      'tools/list',
      '{"tools":[{"name":"read"}]}',
      '{"tools":[{"name":"read"}]}',
    ],
    [
      'loses what it may not, and no other byte',
      'tools/list',
      '{ "tools" : [ {"name":"read","n":1.0} , {"name":"drop"},\n{"name":"write"} ], "nextCursor":"x" }',
      '{ "tools" : [ {"name":"read","n":1.0},\n{"name":"write"} ], "nextCursor":"x" }',
    ],
    [
      'may become empty, with its cursor',
      'tools/list',
      '{"tools":[{"name":"drop"}],"nextCursor":"2"}',
      '{"tools":[],"nextCursor":"2"}',
    ],
    [
      'loses what has no name to ask for it by',
      'tools/list',
      '{"tools":[{"Name":"read"},{"name":1},"read",null,[],{"name":""},{"name":"a "},{"name":"a\\u200b"},{"name":"read"}]}',
      '{"tools":[{"name":"read"}]}',
    ],
    ['is judged by names as they read', 'tools/list', '{"tools":[{"name":"dr\\u006fp"}]}', '{"tools":[]}'],
    [
      'of prompts',
      'prompts/list',
      '{"prompts":[{"name":"drop"},{"name":"a"}]}',
      '{"prompts":[{"name":"a"}]}',
    ],
    [
      'of resources',
      'resources/list',
      '{"resources":[{"name":"x","uri":"doc://drop"},{"name":"drop","uri":"doc://a"}]}',
      '{"resources":[{"name":"drop","uri":"doc://a"}]}',
    ],
    [
      'of templates',
      'resources/templates/list',
      '{"resourceTemplates":[{"uriTemplate":"doc://{x}"},{"name":"no template"}]}',
      '{"resourceTemplates":[{"uriTemplate":"doc://{x}"}]}',
    ],
    [
      'is filtered where another was asked for: of two requests with one id, an answer may be to the other',
      'prompts/list',
      '{"tools":[{"name":"drop"}]}',
      '{"tools":[]}',
    ],
    ['may be missing', 'tools/list', '{"resultType":"input_required"}', '{"resultType":"input_required"}'],
  ];
  for (const [what, method, result, left] of vectors) {
    test(what, () => {
      assert.equal(show(answer(result), asked(method)), answer(left));
    });
  }

  test('of no array is refused: nobody knows what a client makes of it', () => {
    assert.equal(show(answer('{"tools":{"drop":{"name":"drop"}}}')), 'refused: parse_envelope');
  });

  test('that two readers could read differently is refused', () => {
    const good = '{"tools":[{"name":"read"}]';
    for (const [result, code] of [
      [`${good},"tools":[{"name":"drop"}]}`, 'parse_duplicate_key'],
      [`${good},"Tools":[{"name":"drop"}]}`, 'parse_duplicate_key'],
      ['{"tools":[{"name":"read","name":"drop"}]}', 'parse_duplicate_key'],
      ['{"tools":[{"name":"read","Name":"drop"}]}', 'parse_duplicate_key'],
      ['{"tools":[{"name":"read","a":{"b":{"c":1,"c":2}}}]}', 'parse_duplicate_key'],
      [`${good}},"Result":{"tools":[{"name":"drop"}]}`, 'parse_duplicate_key'],
    ] as const) {
      assert.equal(show(answer(result)), `refused: ${code}`, result);
    }
    const raw = Buffer.concat([
      Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"tools":[],"a":"'),
      Buffer.from([0xff]),
    ]);
    const shown = createLists(OPTIONS)(Buffer.concat([raw, Buffer.from('"}}')]), TOOLS, origin);
    assert.equal(shown.ok || shown.code, 'parse_utf8');
  });

  test('may have arguments whose names differ in case, and nest as deep as schemas do', () => {
    const schema = `{"properties":{"o":{},"O":{}},"deep":${'['.repeat(100)}${']'.repeat(100)}}`;
    const text = answer(`{"tools":[{"name":"read","inputSchema":${schema}}]}`);
    assert.equal(show(text), text);
  });

  test('is the same list, filtered: property', () => {
    const name = fc.constantFrom('read', 'drop', 'write', 'drop_all');
    const tool = fc.record({ name, _meta: fc.jsonValue({ maxDepth: 2 }) }, { requiredKeys: ['name'] });
    const page = fc.record({ tools: fc.array(tool), nextCursor: fc.string() }, { requiredKeys: ['tools'] });
    fc.assert(
      fc.property(page, fc.constantFrom(0, 1), (result, indent) => {
        const text = answer(JSON.stringify(result, null, indent));
        const left = show(text);
        const tools = result.tools.filter((item) => !item.name.startsWith('drop'));
        assert.deepEqual(JSON.parse(left), {
          jsonrpc: '2.0',
          id: 1,
          result: JSON.parse(JSON.stringify({ ...result, tools })),
        });
      }),
    );
  });
});

describe('an answer', () => {
  const listLike = answer('{"content":[],"tools":[{"name":"drop"}]}');

  test('that is a list is filtered whatever was asked: its request may have had the id of another', () => {
    const listed = answer('{"tools":[{"name":"drop"},{"name":"read"}]}');
    for (const method of ['tools/call', 'ping', 'server/discover', 'resources/list']) {
      assert.equal(show(listed, asked(method)), answer('{"tools":[{"name":"read"}]}'), method);
    }
    assert.equal(show(listLike, asked('tools/call')), answer('{"content":[],"tools":[]}'));
  });

  test('to a request that asks for no list is left alone where it has not the form of one', () => {
    for (const result of [
      '{"tools":[{"name":"drop"}],"tools":1}',
      '{"content":[{"type":"text","text":"\\"tools\\""}],"structuredContent":{"tools":[{"name":"drop"}]}}',
      '{"tools":{"drop":{"name":"drop"}}}',
      '{"TOOLS":"x"}',
    ]) {
      assert.equal(show(answer(result), asked('tools/call')), answer(result));
    }
  });

  test('with a list that readers without regard to case would find is refused', () => {
    const poisoned = answer('{"Tools":[{"name":"read"}]}');
    assert.equal(show(poisoned), 'refused: parse_envelope');
    assert.equal(show(poisoned, UNKNOWN), 'refused: parse_envelope');
    assert.equal(show(answer('{"prompts":[],"TOOLS":[]}'), asked('prompts/list')), 'refused: parse_envelope');
    assert.equal(show(answer('{"toolſ":[]}')), 'refused: parse_envelope');
  });

  test('may have as many items as the limit says: at it, over it, and where another is set', () => {
    const page = (count: number, one: string): string =>
      answer(`{"tools":[${Array<string>(count).fill(one).join(',')}]}`);
    const { default: max, maximum } = LIST_ITEMS_MAX;
    assert.equal(show(page(max, '1')), page(0, ''));
    assert.equal(show(page(max + 1, '1')), 'refused: parse_envelope');
    assert.equal(show(page(max + 1, '1'), UNKNOWN), 'refused: parse_envelope');
    assert.equal(
      show(page(3, '{"name":"read"}'), { asked: TOOLS, listItemsMax: 2 }),
      'refused: parse_envelope',
    );
    for (const listItemsMax of [0, 1.5, maximum + 1]) {
      assert.throws(() => createLists({ ...OPTIONS, listItemsMax }), VerdictError);
    }
  });

  test('to nobody knows what is filtered where it has the form of a list', () => {
    assert.equal(show(listLike, UNKNOWN), answer('{"content":[],"tools":[]}'));
    const all = '{"tools":[{"name":"drop"}],"prompts":[{"name":"drop"}],"resources":[{"uri":"doc://drop"}]}';
    assert.equal(show(answer(all), UNKNOWN), answer('{"tools":[],"prompts":[],"resources":[]}'));
    for (const result of [
      '{"tools":"x"}',
      '{"tools":[]}',
      '{"tools":["drop"]}',
      '{"content":[{"name":"drop"}]}',
      '"x"',
      'null',
    ]) {
      assert.equal(show(answer(result), UNKNOWN), answer(result));
    }
  });

  test('to nobody knows what is refused where it may be a list to some, and passes where it cannot', () => {
    const twice = '"a":1,"a":2';
    assert.equal(show(answer(`{"tools":[],${twice}}`), UNKNOWN), 'refused: parse_duplicate_key');
    assert.equal(show(answer(`{"TOOLS":[],${twice}}`), UNKNOWN), 'refused: parse_duplicate_key');
    assert.equal(show(answer(`{"t\\u006fols":[],${twice}}`), UNKNOWN), 'refused: parse_duplicate_key');
    assert.equal(show(answer(`{"content":[],${twice}}`), UNKNOWN), answer(`{"content":[],${twice}}`));
  });

  test('that is an error passes as it is', () => {
    const error =
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no","data":{"tools":[{"name":"drop"}]}}}';
    assert.equal(show(error), error);
    assert.equal(show(error, UNKNOWN), error);
  });
});

describe('caching', () => {
  const caching = (members: string): string => answer(`{"tools":[],${members}}`);

  test('is for this caller alone', () => {
    assert.equal(
      show(caching('"cacheScope" : "public" ,"ttlMs":0')),
      caching('"cacheScope" : "private" ,"ttlMs":0'),
    );
    assert.equal(show(caching('"cacheScope":null')), caching('"cacheScope":"private"'));
    assert.equal(show(caching('"cacheScope":"private"')), caching('"cacheScope":"private"'));
  });

  test('lasts as long as the limit at most: at it, over it, and where another is set', () => {
    const { default: max } = LIST_TTL_MS_MAX;
    assert.equal(show(caching(`"ttlMs":${max}`)), caching(`"ttlMs":${max}`));
    assert.equal(show(caching(`"ttlMs":${max + 1}`)), caching(`"ttlMs":${max}`));
    assert.equal(show(caching('"ttlMs":1e999')), caching(`"ttlMs":${max}`));
    assert.equal(show(caching('"ttlMs":"long"')), caching(`"ttlMs":${max}`));
    assert.equal(show(caching('"ttlMs":6'), { asked: TOOLS, listTtlMsMax: 5 }), caching('"ttlMs":5'));
    for (const listTtlMsMax of [0, 1.5, LIST_TTL_MS_MAX.maximum + 1]) {
      assert.throws(() => createLists({ ...OPTIONS, listTtlMsMax }), VerdictError);
    }
  });

  test('is not granted where the server grants none', () => {
    assert.equal(show(answer('{"tools":[]}')), answer('{"tools":[]}'));
  });

  test('of what is no list is left alone where the revision knows no caching', () => {
    const read = answer('{"contents":[],"cacheScope":"public","ttlMs":900000}');
    assert.equal(show(read, asked('resources/read')), read);
  });
});

describe('the answer to initialize', () => {
  const listChanges = createListChanges(() => []).subscribe;
  const initialize = {
    asked: { method: 'initialize', modern: false, protocolVersion: undefined },
    listChanges,
  };
  const vectors: readonly (readonly [what: string, capabilities: string, left: string])[] = [
    ['says that lists may change', '{"tools":{}}', '{"tools":{"listChanged":true}}'],
    [
      'whatever the server says of it, and no other byte is touched',
      '{ "logging":{}, "tools": { "listChanged" : false , "x":{"a":{}}}, "resources":{"subscribe":true} }',
      '{ "logging":{}, "tools": { "listChanged" : true , "x":{"a":{}}}, "resources":{"listChanged":true,"subscribe":true} }',
    ],
    ['once', '{"prompts":{"listChanged":true}}', '{"prompts":{"listChanged":true}}'],
    ['of the lists that there are', '{"tools":null,"prompts":[]}', '{"tools":null,"prompts":[]}'],
  ];
  for (const [what, capabilities, left] of vectors) {
    test(what, () => {
      const text = (of: string): string =>
        answer(`{"protocolVersion":"2025-11-25","capabilities":${of},"tools":[]}`);
      assert.equal(show(text(capabilities), initialize), text(left));
    });
  }

  test('is left alone where lists never change, where it cannot be read strictly, and in 2026-07-28', () => {
    const plain = answer('{"capabilities":{"tools":{}}}');
    assert.equal(show(plain, { ...initialize, listChanges: undefined }), plain);
    assert.equal(show(plain, { ...asked('server/discover'), listChanges }), plain);
    const twice = answer('{"capabilities":{"tools":{}},"capabilities":{}}');
    assert.equal(show(twice, initialize), twice);
    const error = '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}';
    assert.equal(show(error, initialize), error);
  });

  test('and those to lists tell what the server has lists of', () => {
    const lists = (text: string, of: Asked): unknown => {
      const shown = createLists({ ...OPTIONS, listChanges })(Buffer.from(text), of, origin);
      return shown.ok && shown.lists;
    };
    const capabilities = answer('{"capabilities":{"resources":{},"tools":{}}}');
    assert.deepEqual(lists(capabilities, initialize.asked), ['tools', 'resources']);
    assert.deepEqual(lists(answer('{"tools":[]}'), TOOLS), ['tools']);
    assert.deepEqual(
      lists(answer('{"resourceTemplates":[]}'), { ...TOOLS, method: 'resources/templates/list' }),
      ['resources'],
    );
    assert.equal(lists(answer('{"tools":[]}'), { ...TOOLS, method: 'tools/call' }), undefined);
  });
});

describe('a catalogue', () => {
  function catalogue(hides: string): {
    listed: Catalogue['listed'];
    seen: (ListedTool & { server: string })[];
  } {
    const seen: (ListedTool & { server: string })[] = [];
    return {
      seen,
      listed: (server, tool) => (seen.push({ server, ...tool }), tool.name === hides ? 'hide' : 'show'),
    };
  }

  test('learns of every tool with its definition as it was sent, also of those that stay hidden', () => {
    const { seen, listed } = catalogue('none');
    show(answer('{"tools":[{"name":"drop", "n":1.0},{"name":"read"},{"name":" "}]}'), {
      asked: TOOLS,
      catalogue: { listed },
    });
    assert.deepEqual(
      seen.map(({ server, name, text }) => [server, name, text]),
      [
        ['s', 'drop', '{"name":"drop", "n":1.0}'],
        ['s', 'read', '{"name":"read"}'],
      ],
    );
    assert.ok(seen[0]?.definition instanceof Map);
  });

  test('may hide a tool that policy would show', () => {
    const { listed } = catalogue('read');
    const shown = show(answer('{"tools":[{"name":"read"},{"name":"write"}]}'), {
      asked: TOOLS,
      catalogue: { listed },
    });
    assert.equal(shown, answer('{"tools":[{"name":"write"}]}'));
  });

  test('learns of tools only, and of those in answers to nobody knows what too', () => {
    const { seen, listed } = catalogue('none');
    show(answer('{"prompts":[{"name":"a"}]}'), { ...asked('prompts/list'), catalogue: { listed } });
    assert.equal(seen.length, 0);
    show(answer('{"tools":[{"name":"read"}]}'), { asked: undefined, catalogue: { listed } });
    assert.equal(seen.length, 1);
  });
});

test('what a caller sees depends on who it is, and on the policy in force when the answer passes', () => {
  let policy = POLICY;
  const lists = createLists({ ...OPTIONS, policy: () => policy });
  const text = Buffer.from(answer('{"tools":[{"name":"read"},{"name":"drop"}]}'));
  const names = (of: Origin): string[] => {
    const shown = lists(text, TOOLS, of);
    assert.ok(shown.ok);
    return JSON.parse(Buffer.from(shown.bytes).toString()).result.tools.map(
      ({ name }: { name: string }) => name,
    );
  };
  assert.deepEqual(names(origin), ['read']);
  assert.deepEqual(names({ ...origin, identity: { source: 'none' } }), []);
  assert.deepEqual(names({ ...origin, server: { name: 't' } }), []);
  policy = policyOf(policyText('  - {id: a, effect: allow, tools: ["s/drop"]}\n'));
  assert.deepEqual(names(origin), ['drop']);
});
