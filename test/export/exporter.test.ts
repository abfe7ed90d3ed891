/** The OTEL_* variables that a platform engineer sets do what the specification says. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { VerdictError } from '../../src/errors.ts';
import { createOtlpLogExporter } from '../../src/export/exporter.ts';
import { createPipeline } from '../../src/export/pipeline.ts';
import { createResource } from '../../src/export/resource.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { hear, setOtelEnv } from '../telemetry/heard.ts';

const DEADLINE_MS = 5000;

/** Sends one record with these variables and gives back what arrived. `URL` stands for the receiver's. */
async function sendOne(t: TestContext, variables: Record<string, string>) {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const { diagnostics } = hear();
  const env = setOtelEnv(
    t,
    Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, value.replace('URL', receiver.url)]),
    ),
  );
  const exporter = createOtlpLogExporter({ env, diagnostics, named: false });
  const pipeline = createPipeline({
    exporter,
    env,
    diagnostics,
    ...createResource(env, { version: '1', diagnostics }),
  });
  pipeline.emit({ name: 'verdict.lifecycle', severity: 9, fields: { 'verdict.lifecycle.state': 'start' } });
  await receiver.received(1);
  await pipeline.shutdown(DEADLINE_MS);
  assert.equal(receiver.requests.length, 1);
  return { request: receiver.requests[0], log: receiver.logs()[0] };
}

// The processor waits a second for more records unless it is told otherwise.
const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: 'URL', OTEL_BLRP_SCHEDULE_DELAY: '0' };

describe('variables', () => {
  test('the endpoint gets /v1/logs appended, headers are sent, JSON is the default', async (t) => {
    const { request } = await sendOne(t, {
      ...BASE,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20TOKEN,x-both=general',
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: 'x-both=logs',
    });
    assert.equal(request?.path, '/v1/logs');
    assert.equal(request.headers['content-type'], 'application/json');
    assert.equal(request.headers['authorization'], 'Bearer TOKEN');
    assert.equal(request.headers['x-both'], 'logs');
  });

  test('the logs endpoint is used as it stands', async (t) => {
    const { request } = await sendOne(t, {
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'URL/own/path',
      OTEL_BLRP_SCHEDULE_DELAY: '0',
    });
    assert.equal(request?.path, '/own/path');
  });

  test('gzip is sent when it is asked for', async (t) => {
    const { request, log } = await sendOne(t, { ...BASE, OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' });
    assert.equal(request?.headers['content-encoding'], 'gzip');
    assert.equal(log?.eventName, 'verdict.lifecycle');
  });

  for (const variable of ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_EXPORTER_OTLP_LOGS_PROTOCOL']) {
    test(`${variable}=http/protobuf sends protobuf`, async (t) => {
      const { request } = await sendOne(t, { ...BASE, [variable]: 'http/protobuf' });
      assert.equal(request?.headers['content-type'], 'application/x-protobuf');
      assert.ok(request.body.includes('verdict.lifecycle.state'));
    });
  }

  test('the service’s name and the resource’s attributes are in the resource, and in the body', async (t) => {
    const { log } = await sendOne(t, {
      ...BASE,
      OTEL_SERVICE_NAME: 'gateway',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,deployment.environment.name=prod,service.instance.id=i-1',
    });
    assert.equal(log?.resource['service.name'], 'gateway');
    assert.equal(log.resource['deployment.environment.name'], 'prod');
    const body = JSON.parse(String(log.body));
    assert.deepEqual([body['service.name'], body['service.instance.id']], ['gateway', 'i-1']);
  });

  test('a batch of OTEL_BLRP_MAX_EXPORT_BATCH_SIZE leaves at once', async (t) => {
    const { log } = await sendOne(t, {
      ...BASE,
      OTEL_BLRP_SCHEDULE_DELAY: '3600000',
      OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: '1',
    });
    assert.ok(log);
  });
});

describe('whether there is an exporter', () => {
  for (const [env, named, exists] of [
    [{}, false, false],
    [{}, true, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a' }, false, true],
    [{ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://a' }, false, true],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://a' }, false, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_SDK_DISABLED: 'true' }, false, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_LOGS_EXPORTER: 'none' }, false, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_LOGS_EXPORTER: 'none' }, true, true],
  ] as const) {
    test(`${JSON.stringify(env)}${named ? ', named in the configuration' : ''}: ${exists}`, async (t) => {
      const exporter = createOtlpLogExporter({
        env: setOtelEnv(t, env),
        diagnostics: hear().diagnostics,
        named,
      });
      assert.equal(exporter !== undefined, exists);
      await exporter?.shutdown();
    });
  }

  test('grpc is refused with the port to use instead', () => {
    const env = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    assert.throws(
      () => createOtlpLogExporter({ env, diagnostics: hear().diagnostics, named: true }),
      (error) =>
        error instanceof VerdictError && error.code === 'config_invalid' && /4318/.test(error.message),
    );
  });
});
