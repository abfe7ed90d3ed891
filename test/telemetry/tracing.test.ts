import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { VerdictError } from '../../src/errors.ts';
import { createTracing } from '../../src/telemetry/tracing.ts';
import { holdsTexts } from '../support/garbage.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { hear, setOtelEnv } from './heard.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const OTHER = '11111111111111111111111111111111';
const META = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'a=1' };
const HTTP = { traceparent: `00-${OTHER}-2222222222222222-01` };
const DEADLINE_MS = 5000;

const resource = resourceFromAttributes({ 'service.name': 'mcp-verdict' });
const tracingOf = (env: Record<string, string | undefined> = {}) =>
  createTracing({ env, resource, diagnostics: hear().diagnostics, version: '1.2.3' });

describe('ids', () => {
  test('without an endpoint a request has valid ids of its own', () => {
    const tracing = tracingOf();
    const [one, two] = [1, 2].map(() => tracing.start({ method: 'ping', parents: {} }).ids);
    assert.match(one?.traceId ?? '', /^(?!0+$)[\da-f]{32}$/);
    assert.match(one?.spanId ?? '', /^(?!0+$)[\da-f]{16}$/);
    assert.notEqual(one?.traceId, two?.traceId);
  });

  for (const [name, parents, traceId] of [
    ['the context in _meta is the parent', { meta: META }, TRACE],
    ['without it the header’s is', { http: HTTP }, OTHER],
    ['_meta goes before the header', { meta: META, http: HTTP }, TRACE],
    ['an invalid _meta leaves the header’s', { meta: { traceparent: 'junk' }, http: HTTP }, OTHER],
    ['an invalid one alone is ignored', { meta: { traceparent: '00-junk' } }, undefined],
  ] as const) {
    test(name, () => {
      const { ids } = tracingOf().start({ method: 'tools/call', parents });
      if (traceId === undefined) assert.match(ids.traceId, /^(?!0+$)[\da-f]{32}$/);
      else assert.equal(ids.traceId, traceId);
      assert.notEqual(ids.spanId, SPAN);
    });
  }

  test('the CLIENT span goes out in the client’s trace, with its tracestate and without baggage', () => {
    const request = tracingOf().start({ method: 'tools/call', parents: { meta: META } });
    const upstream = request.upstream();
    const [, traceId, spanId, flags] = upstream.traceparent.split('-');
    assert.deepEqual([traceId, flags, upstream.tracestate], [TRACE, '01', 'a=1']);
    assert.ok(spanId !== SPAN && spanId !== request.ids.spanId);
    assert.deepEqual(Object.keys(upstream).sort(), ['end', 'traceparent', 'tracestate']);
  });

  for (const [env, parents, flags] of [
    [{}, {}, 1],
    [{}, { meta: { traceparent: `00-${TRACE}-${SPAN}-00` } }, 0],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, { meta: META }, 0],
    [{ OTEL_TRACES_SAMPLER: 'always_on' }, { meta: { traceparent: `00-${TRACE}-${SPAN}-00` } }, 1],
    [{ OTEL_SDK_DISABLED: 'true' }, { meta: META }, 1],
  ] as const) {
    test(`${JSON.stringify([env, parents])}: ids are there and the flag is ${flags}`, () => {
      const request = tracingOf(env).start({ method: 'tools/call', parents });
      assert.equal(request.ids.traceFlags, flags);
      assert.equal(request.upstream().traceparent.slice(-2), `0${flags}`);
      assert.match(request.ids.spanId, /^(?!0+$)[\da-f]{16}$/);
    });
  }
});

test('the SERVER span says what was decided, once it has been', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  setOtelEnv(t, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  const tracing = tracingOf(process.env);
  const request = tracing.start({ method: 'tools/call', target: 'pay', parents: {} });
  request.note({
    'verdict.decision.effect': 'deny',
    'verdict.rule.id': 'never',
    'gen_ai.tool.call.arguments': '{"amount":1}',
  });
  request.end({});
  await tracing.shutdown(DEADLINE_MS);
  const [span] = receiver.spans();
  assert.equal(span?.attributes['verdict.decision.effect'], 'deny');
  assert.equal(span?.attributes['verdict.rule.id'], 'never');
  assert.equal(span?.attributes['gen_ai.tool.call.arguments'], undefined);
});

test('spans arrive named and attributed by the MCP conventions, and never with arguments', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const heard = hear();
  const env = setOtelEnv(t, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  const tracing = createTracing({ env, resource, diagnostics: heard.diagnostics, version: '1.2.3' });
  const request = tracing.start({
    method: 'tools/call',
    target: 'create_issue',
    parents: { meta: META, http: HTTP },
    attributes: {
      'gen_ai.tool.name': 'create_issue',
      'jsonrpc.request.id': '7',
      'client.address': '127.0.0.1',
      'server.address': 'upstream',
      'gen_ai.tool.call.arguments': '{"secret":1}',
      'verdict.arguments.keys': ['secret'],
      'user.id': 'ann',
    },
  });
  const upstream = request.upstream({ 'server.port': 443 });
  upstream.end({ attributes: { 'http.response.status_code': 200 } });
  request.end({ errorType: 'tool_error', attributes: { 'verdict.decision.effect': 'allow' } });
  request.end();
  await tracing.shutdown(DEADLINE_MS);
  assert.deepEqual(heard.lines, []);

  const spans = receiver.spans();
  assert.equal(spans.length, 2);
  const server = spans.find(({ kind }) => kind === 2);
  const client = spans.find(({ kind }) => kind === 3);
  assert.equal(server?.name, 'tools/call create_issue');
  assert.equal(server.parentSpanId, SPAN);
  assert.equal(server.traceState, 'a=1');
  assert.deepEqual(
    server.links.map(({ traceId }) => traceId),
    [OTHER],
  );
  assert.deepEqual(server.attributes, {
    'mcp.method.name': 'tools/call',
    'gen_ai.tool.name': 'create_issue',
    'jsonrpc.request.id': '7',
    'client.address': '127.0.0.1',
    'error.type': 'tool_error',
    'verdict.decision.effect': 'allow',
  });
  assert.equal(server.status.code, 2);
  assert.equal(server.scope.name, 'mcp-verdict');
  assert.equal(server.scope.version, '1.2.3');
  assert.equal(server.resource['service.name'], 'mcp-verdict');
  assert.equal(client?.parentSpanId, request.ids.spanId);
  assert.equal(client.spanId, upstream.traceparent.split('-')[2]);
  assert.deepEqual(client.attributes, {
    'mcp.method.name': 'tools/call',
    'gen_ai.tool.name': 'create_issue',
    'jsonrpc.request.id': '7',
    'server.address': 'upstream',
    'server.port': 443,
    'http.response.status_code': 200,
  });
  assert.deepEqual(client.links, []);
  assert.notEqual(client.status.code, 2);
});

test('the status follows the error type, unless it is given', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const tracing = tracingOf(setOtelEnv(t, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/own` }));
  const table = [
    [{}, 0],
    [{ errorType: '-32603' }, 2],
    [{ errorType: '-32602' }, 0],
    [{ errorType: '-32602', status: 'error' }, 2],
    [{ errorType: 'ECONNRESET', status: 'unset' }, 0],
  ] as const;
  for (const [end] of table) tracing.start({ method: 'ping', parents: {} }).end(end);
  await tracing.flush(DEADLINE_MS);
  assert.deepEqual(
    receiver.requests.map(({ path }) => path),
    ['/own'],
  );
  assert.deepEqual(
    receiver.spans().map(({ status }) => status.code),
    table.map(([, code]) => code),
  );
  await tracing.shutdown(DEADLINE_MS);
});

test('a hostile name is capped and made well-formed', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(receiver.close);
  const tracing = tracingOf(setOtelEnv(t, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }));
  const target = '\ud800'.repeat(1e6);
  tracing
    .start({ method: 'tools/call', target, parents: {}, attributes: { 'gen_ai.tool.name': target } })
    .end();
  await tracing.shutdown(DEADLINE_MS);
  const [span] = receiver.spans();
  assert.ok(Buffer.byteLength(span?.name ?? '') <= 256);
  assert.ok(span?.name.isWellFormed());
});

describe('export', () => {
  test('a collector that is down costs no call and is named', async (t) => {
    const receiver = await startOtlpReceiver();
    await receiver.close();
    const heard = hear();
    const env = setOtelEnv(t, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: '50',
    });
    const tracing = createTracing({ env, resource, diagnostics: heard.diagnostics });
    tracing.start({ method: 'ping', parents: {} }).end();
    await tracing.shutdown(DEADLINE_MS);
    assert.match(heard.text(), /error 1 spans lost: nothing listens at .*\/v1\/traces/);
    assert.doesNotMatch(heard.text(), /error OpenTelemetry SDK/);
  });

  test('a collector that hangs does not hold the shutdown beyond its deadline', async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(receiver.close);
    const late = Promise.withResolvers<void>();
    receiver.answerWith(() => ({ until: late.promise }));
    const tracing = tracingOf(setOtelEnv(t, { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }));
    tracing.start({ method: 'ping', parents: {} }).end();
    // It would wait for the answer, which comes only after it.
    await tracing.shutdown(20);
    late.resolve();
  });

  test('wrong variables are refused at once', () => {
    assert.throws(
      () => tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }),
      VerdictError,
    );
  });

  test('http/protobuf is sent as such', async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(receiver.close);
    const tracing = tracingOf(
      setOtelEnv(t, {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
      }),
    );
    tracing.start({ method: 'ping', parents: {} }).end();
    await tracing.shutdown(DEADLINE_MS);
    assert.equal(receiver.requests[0]?.headers['content-type'], 'application/x-protobuf');
  });
});

test('an open span that is to be exported holds nothing of the message that its attributes are parts of', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  const tracing = tracingOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/v1/traces` });
  const open: ReturnType<typeof tracing.start>[] = [];
  const held = await holdsTexts((text) => {
    const target = `a_tool_with_a_long_name_${text}`.slice(0, 40);
    const trace = tracing.start({
      method: 'tools/call',
      target,
      parents: {},
      attributes: { 'gen_ai.tool.name': target },
    });
    trace.note({ 'gen_ai.tool.name': target });
    open.push(trace);
    return trace.upstream();
  });
  assert.equal(held, false);
  await tracing.shutdown(DEADLINE_MS);
});
