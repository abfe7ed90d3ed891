/** What a hostile agent sends in a tools/call. */

/** @param args JSON text; @param name JSON text of the tool's name */
export function toolCall(args: string, name = '"echo"'): string {
  return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":${name},"arguments":${args}}}`;
}

/** Accepted, because they are JSON; each must give a whole record and an answer. */
export const ACCEPTED_ARGUMENTS: readonly (readonly [string, string])[] = [
  ['a key named constructor', '{"constructor":{"prototype":{}}}'],
  ['a key named __proto__', '{"__proto__":{"admin":true}}'],
  ['a number beyond every double', '{"n":1e400}'],
  ['an integer beyond 2^53', '{"n":9007199254740993}'],
  ['an integer beyond 2^63', '{"n":92233720368547758080}'],
  ['1e300', '{"n":1e300}'],
  ['minus zero', '{"n":-0}'],
  ['NUL in a string', '{"s":"a\\u0000b"}'],
  ['a lone surrogate', '{"s":"\\ud800","\\udc00":1}'],
  ['line separators and terminal escapes', '{"s":"\\u2028\\u001b[2J\\u202e"}'],
  ['a string of a megabyte', JSON.stringify({ s: 'x'.repeat(1_000_000) })],
  [
    '100,000 keys',
    JSON.stringify(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]))),
  ],
  ['60 levels', `{"a":${'['.repeat(60)}${']'.repeat(60)}}`],
];

/** Whole messages that are no calls, or not one call that every reader reads alike. */
export const REFUSED_MESSAGES: readonly (readonly [string, string])[] = [
  ['10,000 levels', toolCall(`${'['.repeat(10_000)}${']'.repeat(10_000)}`)],
  ['a duplicate key', toolCall('{"a":1,"a":1}')],
  ['a case variant of a key', toolCall('{"path":1,"Path":2}')],
  ['a duplicate name', toolCall('{},"name":"other"')],
  ['a batch', `[${toolCall('{}')}]`],
  ['arguments that are an array', toolCall('[]')],
  ['a name that is a number', toolCall('{}', '5')],
  ['params that are null', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}'],
  ['a method in another case', '{"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"echo"}}'],
  ['a truncated message', toolCall('{}').slice(0, -1)],
  ['two messages', `${toolCall('{}')}${toolCall('{}')}`],
  ['an unknown envelope member', toolCall('{}').replace('"id"', '"extra":1,"id"')],
];

/** Parsers repair it, each in its own way. */
export const INVALID_UTF8: Uint8Array = Buffer.from(toolCall('{"s":"\xff"}'), 'latin1');
