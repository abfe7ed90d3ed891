/** OTLP/JSON as the collector reads it from a file, and as its file exporter writes it again. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { eventTime } from '../../src/event/clock.ts';
import { otlpJsonFormat } from '../../src/format/otlp-json.ts';
import { formattedRecord } from '../../src/format/record.ts';
import { Scene } from '../event/verify-scene.ts';
import { hostileRecord } from '../format/hostile-records.ts';
import { ORIGIN, RECORDS } from '../format/samples.ts';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { runCli } from '../support/cli.ts';
import { startCollector } from '../support/collector.ts';

const HOSTILE = 300;
const CHAIN = 2000;

test(
  'the collector reads each line as the record that was meant, and what it writes again is proven',
  { skip: skipWithoutCollector(), timeout: 120_000 },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-otlp-json-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const scene = new Scene(1).start().calls(CHAIN).checkpoint().stop();
    const chain = scene.bodies.map((body) => formattedRecord(body, ORIGIN));
    const records = [...RECORDS.map(({ record }) => record), ...fc.sample(hostileRecord, HOSTILE), ...chain];
    const input = join(dir, 'input.jsonl');
    writeFileSync(input, records.map((record) => `${otlpJsonFormat.encode(record)}\n`).join(''));
    const config = join(dir, 'read.yaml');
    writeFileSync(config, readerConfig(input));
    const configs = ['base.yaml', 'destinations/file.yaml', config];
    const collector = await startCollector({ dir, configs });
    t.after(collector.stop);
    const { logs } = await collector.waitFor((received) => received.logs.length >= records.length);
    await collector.stop();

    assert.deepEqual(
      logs.map(({ body }) => body),
      records.map(({ body }) => body),
    );
    for (const [index, log] of logs.entries()) {
      const { content } = records[index] ?? assert.fail();
      assert.equal(log.eventName, content.eventName);
      assert.equal(log.severityNumber, content.severityNumber);
      assert.equal(
        log.timeUnixNano,
        BigInt(content.timestamp[0]) * 1_000_000_000n + BigInt(content.timestamp[1]),
      );
      assert.deepEqual(log.attributes, content.attributes);
      assert.deepEqual([log.traceId, log.spanId], [content.traceId ?? '', content.spanId ?? '']);
      assert.deepEqual(log.resource, ORIGIN.resource);
      assert.equal(log.schemaUrl, ORIGIN.scope.schemaUrl);
    }
    assert.equal(
      eventTime(logs[0]?.timeUnixNano ?? 0n).rfc3339,
      records[0]?.content.attributes['verdict.time'],
    );

    const written = join(dir, 'records');
    const lines = readdirSync(written).flatMap((name) =>
      readFileSync(join(written, name), 'utf8').split('\n'),
    );
    const ours = lines.filter((line) => line.includes(scene.stream));
    const proven = await runCli(['records', 'verify', '-', '--stream', scene.stream], {
      input: ours.join('\n'),
    });
    assert.equal(proven.code, 0, proven.stdout + proven.stderr);
    assert.match(proven.stdout, new RegExp(`All proven: ${scene.bodies.length} records in 1 stream`));
  },
);

/** The file receiver in the place of the OTLP receiver, in our own pipeline. */
function readerConfig(input: string): string {
  return [
    'receivers:',
    '  otlp_json_file:',
    `    include: [${JSON.stringify(input)}]`,
    '    start_at: beginning',
    '    include_file_name: false',
    'service:',
    '  pipelines:',
    '    logs/file:',
    '      receivers: [otlp_json_file]',
    '',
  ].join('\n');
}
