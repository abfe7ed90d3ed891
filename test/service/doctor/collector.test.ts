import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findCollector, metricsUrl, readCollectorMetrics } from '../../../src/service/doctor/collector.ts';

/** As collector 0.158 writes them. */
const QUEUED = `# HELP otelcol_exporter_queue_capacity Fixed capacity of the retry queue (in batches) [Alpha]
# TYPE otelcol_exporter_queue_capacity gauge
otelcol_exporter_in_flight_requests{data_type="logs",exporter="otlp_http/x"} 0
otelcol_exporter_queue_capacity{data_type="logs",exporter="otlp_http/x"} 1000
otelcol_exporter_queue_size{data_type="logs",exporter="otlp_http/x"} 0
otelcol_exporter_queue_capacity{data_type="traces",exporter="otlp_http/spans"} 1000
otelcol_exporter_sent_log_records{exporter="otlp_http/x",server_address="127.0.0.1",server_port="7901"} 1
otelcol_exporter_sent_log_records{exporter="file/logs"} 1
otelcol_exporter_sent_spans{exporter="file/traces"} 1
otelcol_processor_incoming_items{otel_signal="logs",processor="memory_limiter"} 1
`;

const read = (text: string) => readCollectorMetrics(text);
const told = (text: string) => {
  const reading = read(text);
  assert.ok(reading !== undefined);
  return findCollector(reading, 'http://c:8888/metrics').map(({ level, found }) => `${level} ${found}`);
};

describe('the metrics of a collector', () => {
  test('name the exporters of logs, and which of them have a queue', () => {
    assert.deepEqual(read(QUEUED), {
      exporters: [
        { name: 'otlp_http/x', queue: { size: 0, capacity: 1000 }, failed: 0 },
        { name: 'file/logs', queue: undefined, failed: 0 },
      ],
      batches: false,
    });
  });

  test('are those of a collector, or are not read', () => {
    assert.equal(read('process_cpu_seconds_total 12\n'), undefined);
    assert.equal(read('<html>otelcol_</html>'), undefined);
    assert.equal(read(''), undefined);
    assert.deepEqual(read('otelcol_process_uptime 3\n'), { exporters: [], batches: false });
  });

  test('count what was given up, whatever its labels and its suffix', () => {
    const failed = `${QUEUED}otelcol_exporter_send_failed_log_records_total{exporter="otlp_http/x",code="401"} 2
otelcol_exporter_send_failed_log_records{exporter="otlp_http/x",code="500"} 3\n`;
    assert.equal(read(failed)?.exporters[0]?.failed, 5);
    assert.match(
      told(failed)[0] ?? '',
      /^warn otlp_http\/x has given up 5 records .* after it had acknowledged/,
    );
  });
});

describe('what is told of a collector', () => {
  test('no more than can be told', () => {
    const [queued = '', direct = '', ...more] = told(QUEUED);
    assert.match(queued, /^warn otlp_http\/x acknowledges when its queue has the records.*cannot be told/);
    assert.match(direct, /^ok file\/logs has no queue/);
    assert.deepEqual(more, []);
  });

  test('a queue that fills', () => {
    const filling = QUEUED.replace('queue_size{data_type="logs",exporter="otlp_http/x"} 0', (line) =>
      line.replace(/0$/, '500'),
    );
    assert.match(told(filling)[0] ?? '', /its queue is filled to 500 of 1000/);
  });

  test('a batch processor of logs, and of nothing else', () => {
    const line = (signal: string, processor: string) =>
      `otelcol_processor_incoming_items{otel_signal="${signal}",processor="${processor}"} 1\n`;
    const warning = /a batch processor acknowledges logs that are in its memory/;
    for (const processor of ['batch', 'batch/logs']) {
      assert.match(told(QUEUED + line('logs', processor)).at(-1) ?? '', warning);
    }
    assert.equal(told(QUEUED + line('traces', 'batch') + line('logs', 'batcher')).length, 2);
  });
});

test('metrics are looked for beside a plain endpoint, and at nobody else’s service', () => {
  assert.equal(metricsUrl('http://otel:4318/v1/logs', {})?.href, 'http://otel:8888/metrics');
  assert.equal(metricsUrl('http://[::1]:4318/v1/logs', {})?.href, 'http://[::1]:8888/metrics');
  const env = { COLLECTOR_METRICS_PORT: '9999' };
  assert.equal(metricsUrl('http://127.0.0.1:4318/v1/logs', env)?.href, 'http://127.0.0.1:9999/metrics');
  assert.equal(metricsUrl('https://otlp.vendor.example/v1/logs', {}), undefined);
});
