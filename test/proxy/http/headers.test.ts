import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  answerHeaders,
  clientTrace,
  duplicatedHeader,
  mediaType,
  namesOtherCharset,
  ownHeaders,
  upstreamHeaders,
} from '../../../src/proxy/http/headers.ts';

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('headers towards the upstream', () => {
  const crossing: [name: string, crosses: boolean][] = [
    ['Accept', true],
    ['Content-Type', false],
    ['Last-Event-ID', true],
    ['Mcp-Session-Id', true],
    ['MCP-Protocol-Version', true],
    ['Mcp-Method', true],
    ['Mcp-Param-Anything', true],
    ['Mcp-Param-user_id', true],
    ['Mcp-Session_Id', false],
    ['mcp-protocol_version', false],
    ['Mcp_Session_Id', false],
    ['mcp-a!', false],
    ['Authorization', false],
    ['Proxy-Authorization', false],
    ['Cookie', false],
    ['X-Api-Key', false],
    ['Host', false],
    ['Origin', false],
    ['Connection', false],
    ['Transfer-Encoding', false],
    ['Content-Length', false],
    ['Content-Encoding', false],
    ['User-Agent', false],
    ['Forwarded', false],
    ['X-Forwarded-For', false],
    ['traceparent', false],
    ['baggage', false],
  ];
  for (const [name, crosses] of crossing) {
    test(`${name} ${crosses ? 'crosses' : 'stays behind'}`, () => {
      const headers = upstreamHeaders([name, 'value'], {}, undefined);
      assert.equal(headers[name.toLowerCase()], crosses ? 'value' : undefined);
    });
  }

  test('what the configuration adds wins, in whatever case it is written', () => {
    const raw = ['mcp-session-id', 'client', 'Accept', 'client'];
    const headers = upstreamHeaders(raw, { ACCEPT: 'config', Authorization: 'Bearer ours' }, undefined);
    assert.equal(headers['accept'], 'config');
    assert.equal(headers['authorization'], 'Bearer ours');
    assert.equal(headers['mcp-session-id'], 'client');
  });

  test('the configuration cannot change the framing or ask for what we cannot look into', () => {
    const added = {
      'Accept-Encoding': 'gzip',
      'Content-Length': '1',
      'Transfer-Encoding': 'chunked',
      TE: 'x',
    };
    assert.deepEqual(upstreamHeaders([], added, undefined), { 'accept-encoding': 'identity' });
  });

  test('several Accept fields become one', () => {
    const headers = upstreamHeaders(['Accept', 'a/b', 'accept', 'c/d'], {}, undefined);
    assert.equal(headers['accept'], 'a/b, c/d');
  });

  test('the trace is ours, not the client’s', () => {
    const raw = ['traceparent', 'client', 'tracestate', 'client'];
    const headers = upstreamHeaders(raw, {}, { traceparent: TRACE, tracestate: 'a=b' });
    assert.equal(headers['traceparent'], TRACE);
    assert.equal(headers['tracestate'], 'a=b');
  });

  test('a message of our own carries the session, the version and the configured credentials', () => {
    const session = { sessionId: 's', protocolVersion: '2025-11-25' };
    assert.deepEqual(ownHeaders(session, { authorization: 'Bearer ours' }), {
      accept: 'application/json, text/event-stream',
      'accept-encoding': 'identity',
      authorization: 'Bearer ours',
      'mcp-protocol-version': '2025-11-25',
      'mcp-session-id': 's',
    });
  });
});

describe('headers towards the client', () => {
  const crossing: [name: string, crosses: boolean][] = [
    ['content-type', false],
    ['cache-control', true],
    ['retry-after', true],
    ['allow', true],
    ['mcp-session-id', true],
    ['mcp-anything', true],
    ['mcp-session_id', false],
    ['set-cookie', false],
    ['www-authenticate', false],
    ['location', false],
    ['server', false],
    ['content-encoding', false],
    ['transfer-encoding', false],
    ['content-length', false],
    ['connection', false],
    ['access-control-allow-origin', false],
    ['content-security-policy', false],
    ['clear-site-data', false],
  ];
  for (const [name, crosses] of crossing) {
    test(`${name} ${crosses ? 'crosses' : 'stays behind'}`, () => {
      assert.equal(answerHeaders({ [name]: 'value' })[name], crosses ? 'value' : undefined);
    });
  }
});

describe('fields that must stand once', () => {
  for (const name of [
    'Mcp-Session-Id',
    'mcp-param-x',
    'Content-Type',
    'Authorization',
    'Last-Event-Id',
    'traceparent',
  ]) {
    test(`two ${name} are found, also when they are equal or differ in case`, () => {
      assert.equal(duplicatedHeader([name, 'a', 'x', 'y', name.toUpperCase(), 'a']), name.toLowerCase());
    });
  }

  test('a field that a server makes a variable of stands twice also with an underscore', () => {
    assert.equal(duplicatedHeader(['Mcp-Session-Id', 'a', 'mcp-session_id', 'b']), 'mcp-session_id');
    assert.equal(duplicatedHeader(['mcp-param-a_b', 'a', 'mcp-param-a-b', 'b']), 'mcp-param-a-b');
  });

  test('lists may be spread over several fields', () => {
    assert.equal(
      duplicatedHeader(['Accept', 'a', 'Accept', 'b', 'tracestate', 'a=1', 'tracestate', 'b=2']),
      undefined,
    );
  });
});

describe('content types', () => {
  const types: [given: string | undefined, type: string | undefined][] = [
    [undefined, undefined],
    ['', undefined],
    ['application/json', 'application/json'],
    ['Application/JSON; charset=utf-7', 'application/json'],
    ['application/json,text/html;charset=utf-7', 'application/json'],
    ['text/html; charset=utf-16', 'text/html; charset=utf-8'],
    ['charset=utf-7', undefined],
  ];
  for (const [given, type] of types) {
    test(`${JSON.stringify(given)} goes to the client as ${String(type)}`, () => {
      assert.equal(mediaType(given), type);
    });
  }

  for (const good of [
    '',
    'application/json',
    'application/json; charset=utf-8',
    'application/json;CHARSET="UTF-8"',
    'text/plain; Charset = utf8 ; x=y',
  ]) {
    test(`${JSON.stringify(good)} names no other charset`, () => {
      assert.equal(namesOtherCharset(good), false);
    });
  }

  for (const bad of [
    'application/json; charset=utf-7',
    'application/json; charset=utf-16le',
    'application/json; charset="utf-7"',
    'application/json; charset=utf-8; charset=utf-7',
    'application/json; charset=utf-7; charset=utf-8',
    'application/json; charset="utf-8',
    "application/json; charset*=utf-8''utf-7",
    'application/json; charset*0=utf; charset*1=-7',
    'application/json; charset=utf-8x',
    'application/json charset=utf-7',
    'application/json; charset=',
    'application/json; x="; charset=utf-8"; charset=utf-7',
  ]) {
    test(`${JSON.stringify(bad)} names another charset`, () => {
      assert.equal(namesOtherCharset(bad), true);
    });
  }
});

describe('the client’s trace context', () => {
  const cases: [what: string, value: string, ok: boolean][] = [
    ['a valid one', TRACE, true],
    ['a later version', TRACE.replace(/^00/, '42'), true],
    ['version ff', TRACE.replace(/^00/, 'ff'), false],
    ['capital letters', TRACE.toUpperCase(), false],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, false],
    ['a span id of zeros', `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`, false],
    ['rubbish', 'rubbish', false],
  ];
  for (const [what, value, ok] of cases) {
    test(`${what} is ${ok ? 'passed on' : 'left out'}`, () => {
      assert.deepEqual(clientTrace(['traceparent', value]), ok ? { traceparent: value } : undefined);
    });
  }

  test('tracestate goes with it, joined, and is left out when it is too long', () => {
    const raw = ['traceparent', TRACE, 'tracestate', 'a=1', 'tracestate', 'b=2'];
    assert.deepEqual(clientTrace(raw), { traceparent: TRACE, tracestate: 'a=1,b=2' });
    assert.deepEqual(clientTrace(['traceparent', TRACE, 'tracestate', 'a'.repeat(513)]), {
      traceparent: TRACE,
    });
    assert.equal(clientTrace(['tracestate', 'a=1']), undefined);
  });
});
