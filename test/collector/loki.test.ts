/** What Loki limits and its twin does not: whether records that callers make as large as they can stay within it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCollector } from '../support/collector.ts';
import { skipWithoutDestinations } from '../support/fan-out/kinds.ts';
import { toolCall } from '../support/hostile-arguments.ts';
import { ALL_DELIVERED, startServeScene } from '../support/serve-scene.ts';
import { basicAuthorization, startVictoriaLogs, VICTORIA_LOGS_USER } from '../support/victoria-logs.ts';

const TIMEOUT_MS = 60_000;

/** The defaults of Loki's `limits_config`: of one entry, beside the line and in it. */
const STRUCTURED_METADATA_BYTES_MAX = 64 * 1024;
const STRUCTURED_METADATA_ENTRIES_MAX = 128;
const LINE_BYTES_MAX = 256 * 1024;

/** Control characters become six bytes each in JSON. */
const NAMES = Array.from({ length: 64 }, (_, index) => String(index).padEnd(1024, '\u0001'));

test(
  'no caller makes a record that is more than Loki takes',
  { skip: skipWithoutDestinations(), timeout: TIMEOUT_MS },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-loki-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const store = await startVictoriaLogs(dir);
    t.after(store.kill);
    const collector = await startCollector({
      dir: join(dir, 'collector'),
      configs: ['base.yaml', 'destinations/loki.yaml'],
      env: {
        LOKI_ENDPOINT: `${store.url}/insert/opentelemetry`,
        LOKI_AUTHORIZATION: basicAuthorization(VICTORIA_LOGS_USER),
      },
    });
    t.after(collector.kill);
    const scene = await startServeScene({
      durability: 'sync',
      directory: join(dir, 'proxy'),
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.httpEndpoint },
    });
    t.after(scene.close);
    const secrets = NAMES.map((name) => [`password${name}`, 'x'] as const);
    for (const args of [NAMES.map((name) => [name, '\u0001'.repeat(4096)] as const), secrets])
      assert.equal((await scene.post(toolCall(JSON.stringify(Object.fromEntries(args))))).status, 200);
    assert.match((await scene.stop()).stderr, ALL_DELIVERED.sync);
    await collector.stop();
    const rows = await store.query('"verdict.decision.effect":*');
    assert.equal(rows.length, 2);
    for (const { _msg: line = '', _time: _, _stream: _labels, _stream_id: _id, ...beside } of rows) {
      const bytes = Object.entries(beside)
        .flat()
        .reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      const lineBytes = Buffer.byteLength(line);
      t.diagnostic(`${lineBytes} bytes in the line, ${bytes} beside it`);
      assert.ok(bytes < STRUCTURED_METADATA_BYTES_MAX, `${bytes} bytes beside the line`);
      assert.ok(Object.keys(beside).length < STRUCTURED_METADATA_ENTRIES_MAX);
      // The names of arguments alone are more than what may stand beside it.
      assert.ok(lineBytes > STRUCTURED_METADATA_BYTES_MAX && lineBytes < LINE_BYTES_MAX);
    }
  },
);
