import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { ExportResultCode } from '@opentelemetry/core';
import { Webhook } from 'standardwebhooks';
import { VerdictError } from '../../../src/errors.ts';
import { DeliveryError } from '../../../src/export/acknowledgement.ts';
import type { Failure } from '../../../src/export/acknowledgement.ts';
import { createHttpExporter, HTTP_ANSWER_BYTES_MAX } from '../../../src/export/http/http-exporter.ts';
import type { HttpSettings } from '../../../src/export/http/http-exporter.ts';
import { createAuthority, skipWithoutOpenssl } from '../../support/certificates.ts';
import { startOtlpReceiver } from '../../support/otlp-receiver.ts';
import type { OtlpRequest, ReceiverTls, Script } from '../../support/otlp-receiver.ts';
import { createJumpingTimers } from '../jumping-timers.ts';
import { chainOf, createMemoryStream } from '../memory-stream.ts';
import { startScene, TIMEOUT_MS } from '../pump-scene.ts';
import { send } from '../records.ts';

const BODIES = chainOf(12);
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

async function start(t: TestContext, given: Partial<HttpSettings> = {}, tls?: ReceiverTls) {
  const receiver = await startOtlpReceiver(tls);
  t.after(receiver.close);
  const timers = createJumpingTimers(TIMEOUT_MS);
  const settings: HttpSettings = {
    url: `${receiver.url}/in?key=KEY`,
    format: 'json',
    batch: 'array',
    headers: {},
    compression: 'none',
    timeoutMs: TIMEOUT_MS,
    ...given,
  };
  const make = (more: Partial<HttpSettings> = {}) => {
    const exporter = createHttpExporter({ settings: { ...settings, ...more }, version: '1.2.3', timers });
    t.after(() => exporter.shutdown());
    return exporter;
  };
  return { receiver, timers, exporter: make(), make };
}

async function assertSent(result: ReturnType<typeof send>): Promise<void> {
  const { code, error } = await result;
  assert.equal(code, ExportResultCode.SUCCESS, error?.message);
}

async function failureOf(result: ReturnType<typeof send>): Promise<Failure> {
  const { code, error } = await result;
  assert.equal(code, ExportResultCode.FAILED);
  assert.ok(error instanceof DeliveryError);
  return error.failure;
}

const textOf = ({ body }: OtlpRequest): string => body.toString();

describe('a request', () => {
  const three = BODIES.slice(0, 3);
  const forms = [
    ['array', 'json', `[${three.join(',')}]`, 'application/json'],
    ['lines', 'json', three.map((body) => `${body}\n`).join(''), 'application/x-ndjson'],
  ] as const;
  for (const [batch, format, body, type] of forms) {
    test(`of a batch as ${batch} is ${type}`, async (t) => {
      const { exporter, receiver } = await start(t, { batch, format });
      await assertSent(send(exporter, three));
      assert.equal(receiver.requests.length, 1);
      const [request] = receiver.requests;
      assert.equal(request?.body.toString(), body);
      assert.equal(request?.headers['content-type'], type);
      assert.equal(request?.headers['user-agent'], 'mcp-verdict/1.2.3');
      assert.equal(request?.path, '/in?key=KEY');
    });
  }

  test('of one record each comes in order, its key the id of the record', async (t) => {
    const { exporter, receiver } = await start(t, { batch: 'single' });
    await assertSent(send(exporter, three));
    assert.deepEqual(receiver.requests.map(textOf), three);
    assert.deepEqual(
      receiver.requests.map(({ headers }) => headers['idempotency-key']),
      three.map((body) => JSON.parse(body)['log.record.uid']),
    );
  });

  test('of CEF lines is text, and what is no JSON stands in no array', async (t) => {
    const { exporter, receiver } = await start(t, { batch: 'lines', format: 'cef' });
    await assertSent(send(exporter, three));
    assert.match(receiver.requests[0]!.body.toString(), /^(CEF:0\|.*\n){3}$/);
    assert.match(receiver.requests[0]!.headers['content-type'] ?? '', /^text\/plain/);
  });

  test('can be gzipped, and has the headers that were set', async (t) => {
    const headers = { authorization: 'Bearer T', 'content-type': 'application/stream+json' };
    const { exporter, receiver } = await start(t, { batch: 'lines', compression: 'gzip', headers });
    await assertSent(send(exporter, three));
    const [request] = receiver.requests;
    assert.equal(request?.headers['content-encoding'], 'gzip');
    assert.equal(request?.headers['authorization'], 'Bearer T');
    assert.equal(request?.headers['content-type'], 'application/stream+json');
    assert.equal(request?.body.toString(), three.map((body) => `${body}\n`).join(''));
  });

  test('made again has the same key, one of other records another', async (t) => {
    const { exporter, receiver } = await start(t);
    receiver.answerWith((_, index) => ({ status: index === 0 ? 503 : 200 }));
    await failureOf(send(exporter, three));
    await assertSent(send(exporter, three));
    await assertSent(send(exporter, three.slice(1)));
    const [first, again, other] = receiver.requests.map(({ headers }) => headers['idempotency-key']);
    assert.equal(first, again);
    assert.notEqual(first, other);
  });

  test('goes over one kept connection', async (t) => {
    const { exporter, receiver } = await start(t, { batch: 'single' });
    await assertSent(send(exporter, BODIES));
    assert.equal(receiver.requests.length, BODIES.length);
    assert.equal(new Set(receiver.requests.map(({ headers }) => headers.connection)).size, 1);
    assert.equal(receiver.requests[0]?.headers.connection, 'keep-alive');
  });

  test('shows the endpoint without its query, which may hold a credential', async (t) => {
    const { exporter, receiver } = await start(t);
    assert.equal(exporter.endpoint, `${receiver.url}/in`);
  });
});

describe('a signature', () => {
  for (const compression of ['none', 'gzip'] as const) {
    test(`is good to the library of Standard Webhooks (compression: ${compression})`, async (t) => {
      const { receiver, make } = await start(t, { compression });
      const exporter = make({ signingSecret: SECRET });
      t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 22, 9) });
      await assertSent(send(exporter, BODIES.slice(0, 2)));
      const { headers, body } = receiver.requests[0]!;
      const said = headers as Record<string, string>;
      const webhook = new Webhook(SECRET);
      assert.deepEqual(webhook.verify(body.toString(), said), JSON.parse(body.toString()));
      assert.equal(said['webhook-id'], said['idempotency-key']);
      assert.throws(() => webhook.verify(`${body.toString()} `, said));
      assert.throws(() => webhook.verify(body.toString(), { ...said, 'webhook-timestamp': '1795338001' }));
      const other = new Webhook(Buffer.alloc(32, 8).toString('base64'));
      assert.throws(() => other.verify(body.toString(), said));
    });
  }

  test('by a secret that holds no key is refused', async (t) => {
    const { make } = await start(t);
    for (const signingSecret of ['hunter2', 'whsec_', Buffer.alloc(23).toString('base64'), '%'.repeat(40)]) {
      assert.throws(
        () => make({ signingSecret }),
        (error) => error instanceof VerdictError && error.code === 'config_invalid',
      );
    }
  });
});

describe('an answer', () => {
  const page = { body: '<html>', headers: { 'content-type': 'text/html' } };
  const taken: readonly (readonly [string, Script])[] = [
    ['200 with nothing', { body: '' }],
    ['200 with a page', page],
    ['202', { status: 202 }],
    ['204', { status: 204, body: '' }],
  ];
  for (const [what, script] of taken) {
    test(`of ${what} acknowledges`, async (t) => {
      const { exporter, receiver } = await start(t);
      receiver.answerWith(() => script);
      await assertSent(send(exporter, BODIES));
    });
  }

  const not: readonly (readonly [string, Script, Failure['kind'], boolean | undefined, RegExp])[] = [
    ['200 that is cut off', { broken: 'cut_off' }, 'retry', false, /breaks off/],
    ['a redirect', { status: 302, headers: { location: '/x' } }, 'retry', true, /redirect/],
    ['400', { status: 400, body: 'no' }, 'refused', undefined, /HTTP 400.*no/],
    ['413', { status: 413 }, 'refused', undefined, /too large/],
    ['422', { status: 422 }, 'refused', undefined, /HTTP 422/],
    ['401', { status: 401 }, 'retry', true, /set bearer, basic or headers/],
    ['404', { status: 404 }, 'retry', true, /not a path that takes records/],
    ['500', { status: 500 }, 'retry', true, /HTTP 500/],
    ['503', { status: 503 }, 'retry', false, /overloaded/],
    ['a reset', { broken: 'reset' }, 'retry', false, /closes the connection/],
    ['a half-closed connection', { broken: 'half_closed' }, 'retry', false, /closes the connection/],
    ['garbage', { broken: 'garbage' }, 'retry', true, /does not speak HTTP/],
    [
      'more than anybody needs to say',
      { body: Buffer.alloc(HTTP_ANSWER_BYTES_MAX + 1, 32) },
      'retry',
      true,
      /larger than/,
    ],
  ];
  for (const [what, script, kind, alarm, text] of not) {
    test(`of ${what} acknowledges nothing`, async (t) => {
      const { exporter, receiver } = await start(t);
      receiver.answerWith(() => script);
      const failure = await failureOf(send(exporter, BODIES));
      assert.equal(failure.kind, kind);
      assert.match(failure.text, text);
      assert.ok(!failure.text.includes('KEY'), 'a query may hold a credential');
      assert.ok(!/OTLP|OTEL_/.test(failure.text), `speaks of OTLP: ${failure.text}`);
      if (failure.kind === 'retry') assert.equal(failure.alarm, alarm);
      receiver.answerWith(() => ({}));
      await assertSent(send(exporter, BODIES));
    });
  }

  test('that asks for patience gets it', async (t) => {
    const { exporter, receiver } = await start(t);
    receiver.answerWith(() => ({ status: 429, headers: { 'retry-after': '60' } }));
    const failure = await failureOf(send(exporter, BODIES));
    assert.ok(failure.kind === 'retry');
    assert.equal(failure.afterMs, 60_000);
  });

  test('that never comes is waited for until the time is up', async (t) => {
    const { exporter, receiver, timers } = await start(t);
    receiver.answerWith(() => ({ hang: true }));
    const failing = failureOf(send(exporter, BODIES));
    await receiver.received(1);
    assert.equal(timers.expire(TIMEOUT_MS), 1);
    assert.match((await failing).text, /does not answer in time/);
  });
});

describe('records one by one', () => {
  test('that were acknowledged before one failed are not sent again with the rest', async (t) => {
    const { exporter, receiver } = await start(t, { batch: 'single' });
    receiver.answerWith((_, index) => ({ status: index === 4 ? 503 : 200 }));
    await failureOf(send(exporter, BODIES));
    await assertSent(send(exporter, BODIES));
    assert.deepEqual(receiver.requests.map(textOf), [...BODIES.slice(0, 5), ...BODIES.slice(4)]);
  });

  test('that are asked for later, as a proof that all is well, are sent', async (t) => {
    const { exporter, receiver } = await start(t, { batch: 'single' });
    await assertSent(send(exporter, BODIES.slice(0, 2)));
    await assertSent(send(exporter, BODIES.slice(1, 2)));
    assert.equal(receiver.requests.length, 3);
  });

  for (const batch of ['single', 'lines'] as const) {
    test(`a bad one among them is set aside and the rest arrive in order (${batch})`, async (t) => {
      const { receiver, make } = await start(t, { batch });
      const bad = BODIES[6] ?? '';
      receiver.answerWith((request) => ({ status: textOf(request).includes(bad) ? 400 : 200 }));
      const stream = createMemoryStream(BODIES);
      const scene = startScene(t, { streams: [stream], exporter: () => make() });
      await scene.drained();
      assert.deepEqual(
        scene.letters.map(({ sequence }) => sequence),
        [7],
      );
      const accepted = receiver.requests
        .filter((request) => !textOf(request).includes(bad))
        .flatMap((request) => textOf(request).trim().split('\n'));
      assert.deepEqual([...new Set(accepted)], BODIES.toSpliced(6, 1));
    });
  }
});

describe('over TLS', { skip: skipWithoutOpenssl() }, () => {
  test('needs an authority that it is told of, and shows its certificate where one is set', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-http-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const authority = createAuthority(directory, 'ca');
    const server = authority.sign('server');
    const client = authority.sign('client');
    const pem = (path: string): string => readFileSync(path, 'utf8');
    const tls = {
      cert: pem(server.certificate),
      key: pem(server.key),
      ca: pem(authority.certificate),
      requestCert: true,
      rejectUnauthorized: true,
    };
    const { exporter, make } = await start(t, {}, tls);
    assert.match((await failureOf(send(exporter, BODIES))).text, /cannot be trusted.*set certificate of/);
    const { certificate } = authority;
    const without = await failureOf(send(make({ certificate }), BODIES));
    assert.match(without.text, /client_certificate/);
    await assertSent(
      send(make({ certificate, clientCertificate: client.certificate, clientKey: client.key }), BODIES),
    );
  });
});
