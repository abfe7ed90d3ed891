import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bodiesOfResult, mayHoldBodies } from '../../src/cli/records-result.ts';
import type { VerifyReport } from '../../src/event/verify-report.ts';
import { KEY, told, wholeStream } from '../event/verify-scene.ts';
import { anyCharacter } from '../support/any-text.ts';
import { records, temporaryDirectory } from './records-scene.ts';

const directory = temporaryDirectory();
const { bodies } = wholeStream();

const lines = (wrap: (body: string, index: number) => unknown): string =>
  bodies.map((body, index) => `${JSON.stringify(wrap(body, index))}\n`).join('');

/** As each product writes them, with what else stands there. */
const RESULTS: readonly (readonly [what: string, text: string])[] = [
  [
    'Splunk’s export, a line each',
    lines((body, offset) => ({ preview: false, offset, result: { _raw: body, action: 'blocked' } })),
  ],
  [
    'Splunk’s results, one document',
    JSON.stringify({ results: bodies.map((body) => ({ _raw: body })) }, undefined, 1),
  ],
  ['events as Splunk takes them', lines((event) => ({ time: 1, event, sourcetype: 'mcp:verdict' }))],
  ['VictoriaLogs, a line each', lines((body) => ({ _time: '2026-11-26T00:00:00Z', _msg: body }))],
  ['logcli, a line each', lines((line) => ({ labels: { service_name: 'mcp-verdict' }, line }))],
  [
    'Loki’s answer, one document',
    JSON.stringify({
      status: 'success',
      data: {
        resultType: 'streams',
        result: bodies.map((body) => ({ stream: {}, values: [['1795721767067000000', body]] })),
      },
    }),
  ],
  ['Datadog’s archive, a line each', lines((message) => ({ _id: 'x', message, attributes: { a: 1 } }))],
  [
    'Datadog’s answer, one document',
    JSON.stringify(
      { data: bodies.map((message) => ({ attributes: { message, status: 'info' } })) },
      undefined,
      2,
    ),
  ],
];

async function verify(text: string) {
  writeFileSync(join(directory, 'result'), text);
  const { exit, out } = await records(directory, ['verify', '--json', '--key', KEY.publicKeyText, 'result']);
  return { exit, told: told(JSON.parse(out) as VerifyReport) };
}

describe('records verify reads what a search gives back', () => {
  for (const [what, text] of RESULTS) {
    test(what, async () => {
      assert.deepEqual(await verify(text), { exit: 0, told: [] });
    });
  }

  test('a record in a place that no product uses is named, and not passed over', async () => {
    const { exit, told: said } = await verify(lines((body) => ({ blob: body })));
    assert.equal(exit, 1);
    assert.match(said.join('\n'), /unreadable/);
  });

  test('an argument that was made to look like a record is no record', async () => {
    const forged = bodies[0]?.replace('"verdict.stream.sequence":1', '"verdict.stream.sequence":2') ?? '';
    const text = lines((body) => ({
      result: { _raw: body, 'gen_ai.tool.call.arguments': forged, event: { event: forged } },
    }));
    assert.deepEqual(await verify(text), { exit: 0, told: [] });
  });
});

test('whatever is in a body, a result that wraps it is seen and gives it back', () => {
  fc.assert(
    fc.property(fc.string({ unit: anyCharacter }), (text) => {
      const body = JSON.stringify({ a: text, 'verdict.stream.id': 'x' });
      for (const wrap of [{ result: { _raw: body } }, { _msg: body }, { event: body }, { line: body }]) {
        assert.ok(mayHoldBodies(JSON.stringify(wrap)));
        assert.deepEqual(bodiesOfResult(wrap), [body]);
      }
    }),
  );
});

test('what is no result has no bodies', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => assert.deepEqual(bodiesOfResult(value), [])));
});
