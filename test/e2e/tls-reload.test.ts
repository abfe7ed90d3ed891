/** Certificates that are replaced while connections are open. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { httpAuthenticator } from '../../src/identity/authenticate.ts';
import type { DoorTls } from '../../src/proxy/http/tls.ts';
import {
  createAuthority,
  skipWithoutOpenssl,
  type Authority,
  type Certificate,
} from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { callTool, scene, startEvents } from '../support/http-scene.ts';
import { recordsNamed, startReloadScene } from '../support/reload-scene.ts';
import { within } from '../support/within.ts';

const text = (file: string): string => readFileSync(file, 'utf8');
const pair = ({ certificate, key }: Certificate) => ({ cert: text(certificate), key: text(key) });

describe('TLS', { skip: skipWithoutOpenssl() }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-tls-reload-'));
  let servers: Authority;
  let former: Authority;
  let later: Authority;
  let first: Certificate;
  let second: Certificate;

  before(() => {
    servers = createAuthority(join(directory, 'servers'), 'servers');
    former = createAuthority(join(directory, 'former'), 'former');
    later = createAuthority(join(directory, 'later'), 'later');
    first = servers.sign('first');
    second = servers.sign('second');
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  /** A client that keeps one connection as long as it may. */
  function client(t: TestContext, own: Partial<ReturnType<typeof pair>> = {}) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: text(servers.certificate), ...own });
    t.after(() => agent.destroy());
    return async (port: number, path = '/files/mcp') => {
      const outgoing = httpsRequest({ host: '127.0.0.1', port, path, method: 'POST', agent });
      outgoing.setHeader('content-type', 'application/json').setHeader('accept', 'application/json');
      outgoing.end(callTool(1, 'echo'));
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      const socket = response.socket as TLSSocket;
      const seen = {
        status: response.statusCode,
        fresh: !outgoing.reusedSocket,
        certificate: socket.getPeerX509Certificate()?.serialNumber,
      };
      response.resume();
      await once(response, 'end');
      return { ...seen, closed: new Promise((resolve) => socket.once('close', resolve)) };
    };
  }

  const serial = ({ certificate }: Certificate): string =>
    new X509Certificate(readFileSync(certificate)).serialNumber;

  test('serves a new certificate to new connections, leaves open ones alone, and never takes half of a pair', async (t) => {
    const { put, says, url, stop, close } = await startReloadScene({
      config: { tls: { certificate: 'c.pem', key: 'k.pem' } },
      files: { 'c.pem': text(first.certificate), 'k.pem': text(first.key) },
    });
    t.after(close);
    const port = Number(new URL(url).port);
    const early = client(t);
    assert.partialDeepStrictEqual(await early(port, '/up/mcp'), {
      status: 200,
      fresh: true,
      certificate: serial(first),
    });
    put('c.pem', text(second.certificate));
    await says(/not reloaded.*: tls: /);
    const between = client(t);
    assert.equal((await between(port, '/up/mcp')).certificate, serial(first));
    put('k.pem', text(second.key));
    await says(/reloaded: tls;/);
    assert.partialDeepStrictEqual(await early(port, '/up/mcp'), { status: 200, fresh: false });
    const late = client(t);
    assert.partialDeepStrictEqual(await late(port, '/up/mcp'), {
      status: 200,
      fresh: true,
      certificate: serial(second),
    });
    const records = await stop();
    const states = recordsNamed(
      records,
      'verdict.lifecycle',
      'verdict.lifecycle.state',
      'verdict.lifecycle.changed',
    );
    assert.deepEqual(states, [
      ['start', undefined],
      ['reload_failed', undefined],
      ['reload', ['tls']],
      ['stop', undefined],
    ]);
  });

  describe('with other authorities of client certificates', () => {
    const spiffe = ['subjectAltName=URI:spiffe://corp.example/a', 'extendedKeyUsage=clientAuth'];

    async function open(t: TestContext) {
      const tls = (ca: Authority): DoorTls => {
        const { cert, key } = pair(first);
        return { certificate: cert, key, clientCa: text(ca.certificate) };
      };
      const reached = Promise.withResolvers<void>();
      let held = Promise.resolve();
      /** Keeps the upstream from answering until the returned function is called. */
      const hold = (): (() => void) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        held = promise;
        return resolve;
      };
      const opened = await scene(t, {
        tls: tls(former),
        authenticate: httpAuthenticator({ certificateName: 'spiffe', anonymous: 'deny', nowMs: Date.now }),
        async upstream(request, response) {
          reached.resolve();
          await held;
          if (request.method === 'GET') startEvents(response);
          else
            response
              .setHeader('content-type', 'application/json')
              .end('{"jsonrpc":"2.0","id":1,"result":{}}');
        },
      });
      const replace = (): void => {
        opened.change({ tls: tls(later) });
        void opened.door.settingsChanged();
      };
      return { ...opened, replace, reached: reached.promise, hold };
    }

    test('believes nothing that the former ones vouched for, on connections that are open either', async (t) => {
      const { port, gate, replace } = await open(t);
      const call = client(t, pair(former.sign('a', spiffe)));
      const before = await call(port);
      assert.equal(before.status, 200);
      replace();
      await within('the end of the connection', before.closed);
      const again = await call(port);
      assert.deepEqual([again.status, again.fresh], [401, true]);
      assert.match(JSON.stringify(gate.rejected), /no authority that is trusted here/);
      const other = client(t, pair(later.sign('b', spiffe)));
      assert.equal((await other(port)).status, 200);
    });

    test('ends a stream, and the connection with it', async (t) => {
      const { port, gate, replace } = await open(t);
      const { cert, key } = pair(former.sign('c', spiffe));
      const socket = connectTls({ host: '127.0.0.1', port, ca: text(servers.certificate), cert, key });
      t.after(() => socket.destroy());
      let seen = '';
      socket.on('data', (chunk: Buffer) => (seen += chunk.toString()));
      socket.write(`GET /files/mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
      await eventually('the head of the stream', () => seen.includes('text/event-stream'));
      replace();
      await within('the end of the connection', once(socket, 'close'));
      assert.match(seen, /\r\n0\r\n\r\n$/, 'the stream ended in good order');
      assert.partialDeepStrictEqual(gate.rejected, [{ reason: 'identity_invalid' }]);
    });

    test('finishes a call in flight, and ends its connection then', async (t) => {
      const { port, reached, replace, hold } = await open(t);
      const call = client(t, pair(former.sign('f', spiffe)));
      const release = hold();
      const answer = call(port);
      await reached;
      replace();
      release();
      const { status, closed } = await answer;
      assert.equal(status, 200);
      await within('the end of the connection', closed);
    });

    test('lets nobody in who had begun to connect before', async (t) => {
      const { port, gate, replace } = await open(t);
      const plain = connectTcp(port, '127.0.0.1');
      t.after(() => plain.destroy());
      await once(plain, 'connect');
      // So that the door has seen the connection, too.
      const call = client(t, pair(later.sign('d', spiffe)));
      await call(port);
      replace();
      const { cert, key } = pair(former.sign('e', spiffe));
      const socket = connectTls({ socket: plain, ca: text(servers.certificate), cert, key });
      socket.on('error', () => {});
      socket.write(`POST /files/mcp HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 0\r\n\r\n`);
      await within('the end of the connection', new Promise((resolve) => socket.once('close', resolve)));
      assert.deepEqual(
        gate.decided.map(({ origin }) => origin.identity.user),
        [],
      );
    });
  });
});
