import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { TlsOptions } from 'node:tls';
import { ExportResultCode } from '@opentelemetry/core';
import { DeliveryError } from '../../../src/export/acknowledgement.ts';
import { createSyslogExporter } from '../../../src/export/syslog/syslog-exporter.ts';
import type { SyslogSettings } from '../../../src/export/syslog/syslog-exporter.ts';
import { createAuthority, skipWithoutOpenssl } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { createJumpingTimers } from '../jumping-timers.ts';
import { chainOf, STREAM } from '../memory-stream.ts';
import { recordsOf, send } from '../records.ts';
import { startSyslogServer } from './syslog-server.ts';

const TIMEOUT_MS = 10_000;
const BODIES = chainOf(20);

async function start(t: TestContext, given: Partial<SyslogSettings> = {}, tls?: TlsOptions) {
  const server = await startSyslogServer(tls);
  t.after(() => server.close());
  const timers = createJumpingTimers(TIMEOUT_MS);
  const make = (more: Partial<SyslogSettings> = {}) => {
    const exporter = createSyslogExporter({
      settings: {
        host: '127.0.0.1',
        port: server.port,
        transport: 'tcp',
        format: 'json',
        facility: 'local0',
        timeoutMs: TIMEOUT_MS,
        ...given,
        ...more,
      },
      timers,
    });
    t.after(() => exporter.shutdown());
    return exporter;
  };
  const received = (): string[] =>
    server.messages.map((message) => message.slice(message.indexOf('] {') + 2));
  return { server, timers, make, exporter: make(), received };
}

async function assertSent(result: ReturnType<typeof send>): Promise<void> {
  const { code, error } = await result;
  assert.equal(code, ExportResultCode.SUCCESS, error?.message);
}

async function waitOf(result: ReturnType<typeof send>) {
  const { code, error } = await result;
  assert.equal(code, ExportResultCode.FAILED);
  assert.ok(error instanceof DeliveryError);
  const { failure } = error;
  assert.ok(failure.kind === 'retry');
  return failure;
}

describe('the syslog exporter', () => {
  test('sends each record as a message of its own, in order, over one connection', async (t) => {
    const { exporter, server, received } = await start(t);
    await assertSent(send(exporter, BODIES.slice(0, 5)));
    await assertSent(send(exporter, BODIES.slice(5)));
    await eventually('all', () => server.messages.length === BODIES.length);
    assert.deepEqual(received(), BODIES);
    assert.equal(server.connections(), 1);
  });

  test('connects again after the server has ended a connection', async (t) => {
    const { exporter, server, received } = await start(t);
    await assertSent(send(exporter, BODIES.slice(0, 5)));
    await eventually('the first', () => server.messages.length === 5);
    server.drop();
    // Until the end has come here; what is written before is lost, which is why it cannot be required.
    for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
    await assertSent(send(exporter, BODIES.slice(5)));
    await eventually('all', () => server.messages.length === BODIES.length);
    assert.deepEqual(received(), BODIES);
    assert.equal(server.connections(), 2);
  });

  test('waits while nothing listens', async (t) => {
    const { exporter, server } = await start(t);
    await server.close();
    const failure = await waitOf(send(exporter, BODIES));
    assert.match(failure.text, /^tcp:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    assert.equal(failure.alarm, false);
  });

  test('gives up a server that takes nothing, and sends the batch again on a new connection', async (t) => {
    const { exporter, server, timers, received } = await start(t);
    server.behave('hang');
    // More than all buffers on the way hold.
    const big = chainOf(100, STREAM, { 'verdict.decision.message': 'x'.repeat(100_000) });
    const failing = waitOf(send(exporter, big));
    await eventually('connected', () => server.connections() === 1);
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    server.behave('read');
    assert.equal(timers.expire(TIMEOUT_MS), 1);
    assert.match((await failing).text, /it takes nothing within 10 s/);
    await assertSent(send(exporter, BODIES));
    await eventually('the next', () => server.messages.length >= BODIES.length);
    assert.deepEqual(received(), BODIES);
  });

  test('says nothing is delivered when the server ends the connection at once', async (t) => {
    const { exporter, server } = await start(t);
    server.behave('close');
    // It may be heard of only after the system has taken the batch.
    let failures = 0;
    for (let tries = 0; tries < 50 && failures === 0; tries += 1) {
      const { code } = await send(exporter, BODIES);
      if (code === ExportResultCode.FAILED) failures += 1;
    }
    assert.ok(failures > 0);
  });

  test('takes what cannot be encoded for a matter of the record', async (t) => {
    const { exporter } = await start(t);
    const [record] = recordsOf(BODIES);
    const foreign = Object.assign(Object.create(record ?? null), { body: undefined });
    assert.throws(() => exporter.export([foreign], () => {}), /no body/);
  });
});

describe('over TLS', { skip: skipWithoutOpenssl() }, () => {
  test('trusts only the authority that it is told of, and shows its certificate', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-syslog-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const authority = createAuthority(directory, 'ca');
    const [server, client] = [authority.sign('server'), authority.sign('client')];
    const pem = (path: string): string => readFileSync(path, 'utf8');
    const scene = await start(
      t,
      { transport: 'tls' },
      {
        cert: pem(server.certificate),
        key: pem(server.key),
        ca: pem(authority.certificate),
        requestCert: true,
        rejectUnauthorized: true,
      },
    );
    const untrusted = await waitOf(send(scene.exporter, BODIES));
    assert.equal(untrusted.alarm, true, 'somebody has to see to it');
    const exporter = scene.make({
      certificate: authority.certificate,
      clientCertificate: client.certificate,
      clientKey: client.key,
    });
    await assertSent(send(exporter, BODIES));
    await eventually('all', () => scene.server.messages.length === BODIES.length);
    assert.deepEqual(scene.received(), BODIES);
  });
});
