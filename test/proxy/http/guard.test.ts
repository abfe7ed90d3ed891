import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkGuard, isLoopbackHost } from '../../../src/proxy/http/guard.ts';

const PORT = 8080;
const loopback = { listenHost: '127.0.0.1', allowedHosts: [], allowedOrigins: [] };
const listed = {
  listenHost: '0.0.0.0',
  allowedHosts: ['MCP.example', 'other.example:8443'],
  allowedOrigins: ['https://app.example'],
};

function host(...values: string[]): string[] {
  return values.flatMap((value) => ['Host', value]);
}

function withOrigin(...origins: string[]): string[] {
  return [...host('localhost:8080'), ...origins.flatMap((origin) => ['oRiGiN', origin])];
}

describe('the guard on loopback', () => {
  for (const good of [
    'localhost:8080',
    'LOCALHOST:8080',
    '127.0.0.1:8080',
    '127.8.9.10:8080',
    '[::1]:8080',
  ]) {
    test(`takes the Host ${good}`, () => {
      assert.equal(checkGuard(host(good), PORT, loopback).ok, true);
    });
  }

  const bad: [what: string, headers: string[]][] = [
    ['a foreign name', host('evil.example:8080')],
    ['a foreign name that begins like a good one', host('localhost.evil.example:8080')],
    ['a foreign name that begins like a loopback address', host('127.0.0.1.evil.example:8080')],
    ['another port', host('localhost:8081')],
    ['the default port, which is not ours', host('localhost')],
    ['a port that is no number', host('localhost:8080x')],
    ['a port that only looks like ours in another notation', host('localhost:+8080')],
    ['a trailing dot', host('localhost.:8080')],
    ['an address of the network', host('192.168.0.7:8080')],
    ['an IPv6 address of the network', host('[fe80::1]:8080')],
    ['an IPv4 address in short form', host('127.1:8080')],
    ['userinfo', host('localhost@evil.example:8080')],
    ['two Hosts, both good', host('localhost:8080', 'localhost:8080')],
    ['two Hosts, the second foreign', host('localhost:8080', 'evil.example')],
    ['an empty Host', host('')],
    ['no Host', []],
  ];
  for (const [what, headers] of bad) {
    test(`refuses ${what}`, () => {
      const result = checkGuard(headers, PORT, loopback);
      assert.equal(!result.ok && result.header, 'Host');
    });
  }

  test('takes a Host without port where the port is the default one', () => {
    assert.equal(checkGuard(host('localhost'), 80, loopback).ok, true);
  });

  test('takes a foreign name that is listed, for a reverse proxy on the same machine', () => {
    assert.equal(
      checkGuard(host('mcp.example'), PORT, { ...loopback, allowedHosts: ['mcp.example'] }).ok,
      true,
    );
  });

  test('cuts the refused value, which a stranger chose', () => {
    const result = checkGuard(host('x'.repeat(10_000)), PORT, loopback);
    assert.equal(!result.ok && result.value.length, 256);
  });
});

describe('the guard off loopback', () => {
  const cases: [value: string, ok: boolean][] = [
    ['mcp.example', true],
    ['mcp.example:9999', true],
    ['other.example:8443', true],
    ['other.example', false],
    ['other.example:8080', false],
    ['localhost:8080', false],
    ['127.0.0.1:8080', false],
    ['0.0.0.0:8080', false],
  ];
  for (const [value, ok] of cases) {
    test(`${ok ? 'takes' : 'refuses'} the Host ${value}`, () => {
      assert.equal(checkGuard(host(value), PORT, listed).ok, ok);
    });
  }
});

describe('the guard and Origin', () => {
  const cases: [what: string, headers: string[], ok: boolean][] = [
    ['no Origin', withOrigin(), true],
    ['our own origin', withOrigin('http://localhost:8080'), true],
    ['an origin that is listed', withOrigin('https://app.example'), true],
    ['a foreign origin', withOrigin('https://evil.example'), false],
    ['a listed name on another scheme', withOrigin('http://app.example'), false],
    ['a listed origin with more behind it', withOrigin('https://app.example.evil.example'), false],
    ['another port of this machine', withOrigin('http://localhost:3000'), false],
    ['another loopback name than the Host', withOrigin('http://127.0.0.1:8080'), false],
    ['null', withOrigin('null'), false],
    ['an empty Origin', withOrigin(''), false],
    ['two Origins, both good', withOrigin('https://app.example', 'https://app.example'), false],
    ['two Origins, the second foreign', withOrigin('https://app.example', 'https://evil.example'), false],
  ];
  for (const [what, headers, ok] of cases) {
    test(`${ok ? 'takes' : 'refuses'} ${what}`, () => {
      const options = { ...loopback, allowedOrigins: ['https://app.example'] };
      const result = checkGuard(headers, PORT, options);
      assert.equal(result.ok, ok);
      assert.ok(result.ok || result.header === 'Origin');
    });
  }

  test('refuses null even where somebody has listed it', () => {
    assert.equal(checkGuard(withOrigin('null'), PORT, { ...loopback, allowedOrigins: ['null'] }).ok, false);
  });

  test('does not take our own origin off loopback, where others can answer under our name', () => {
    const headers = [...host('mcp.example'), 'Origin', 'http://mcp.example'];
    assert.equal(checkGuard(headers, PORT, listed).ok, false);
  });
});

test('only names that cannot leave the machine count as loopback', () => {
  const good = ['localhost', '127.0.0.1', '127.255.0.3', '::1'];
  const bad = ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'localhost.example', ''];
  assert.deepEqual(good.filter(isLoopbackHost), good);
  assert.deepEqual(bad.filter(isLoopbackHost), []);
});
