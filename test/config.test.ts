import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadServeConfig, parseListen, type ServeConfig } from '../src/config.ts';
import { defaultKeysDirectory } from '../src/config/places.ts';
import { VerdictError } from '../src/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-config-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function load(text: string, env: Record<string, string> = {}): ServeConfig {
  const file = join(directory, 'verdict.yaml');
  writeFileSync(file, text);
  return loadServeConfig(file, env);
}

function faults(text: string, env: Record<string, string> = {}): string[] {
  try {
    load(text, env);
  } catch (error) {
    assert.ok(error instanceof VerdictError);
    assert.equal(error.code, 'config_invalid');
    return error.message.split('\n').map((line) => line.slice(join(directory, 'verdict.yaml').length + 1));
  }
  return [];
}

const GOOD = `policy: [p.yaml]
servers:
  a: {url: "http://127.0.0.1:1/mcp"}
identity: {api_keys: k.yaml}
`;

describe('verdict.yaml', () => {
  test('resolves paths against itself, listens on loopback and denies anonymous callers by default', () => {
    const config = load(GOOD);
    assert.deepEqual(config.policyFiles, [join(directory, 'p.yaml')]);
    assert.equal(config.apiKeysFile, join(directory, 'k.yaml'));
    assert.deepEqual(config.listen, { host: '127.0.0.1', port: 8080 });
    assert.equal(config.anonymous, 'deny');
    assert.ok(Object.isFrozen(config));
  });

  test('takes header values from the environment, names folded to lower case', () => {
    const config = load(GOOD.replace('mcp"}', 'mcp", headers: {X-Token: "Bearer ${env:TOKEN}"}}'), {
      TOKEN: 't',
    });
    assert.partialDeepStrictEqual(config.servers.get('a'), { headers: { 'x-token': 'Bearer t' } });
  });

  test('explains denials unless they are to be hidden', () => {
    assert.equal(load(GOOD).denials, 'explained');
    assert.equal(load(`${GOOD}denials: hidden\n`).denials, 'hidden');
    assert.deepEqual(faults(`${GOOD}denials: none\n`), ['5:10 must be one of explained, hidden']);
  });

  test('pins no tools by default, and strictly once it names pins; a server may have a mode of its own', () => {
    const pinsOf = (text: string) => {
      const { file, modes } = load(text).pins;
      return [file, Object.fromEntries(modes)];
    };
    const lock = join(directory, 'tools.lock.json');
    assert.deepEqual(pinsOf(GOOD), [lock, { a: 'off' }]);
    assert.deepEqual(pinsOf(`${GOOD}pins: {}\n`), [lock, { a: 'strict' }]);
    assert.deepEqual(pinsOf(GOOD.replace('mcp"', 'mcp", pin: warn')), [lock, { a: 'warn' }]);
    const both = GOOD.replace('  a:', '  b: {url: "http://b/", pin: off}\n  a:');
    assert.deepEqual(pinsOf(`${both}pins: {file: l.json, mode: warn}\n`), [
      join(directory, 'l.json'),
      { b: 'off', a: 'warn' },
    ]);
  });

  const table: readonly (readonly [string, string, Record<string, string>, readonly string[]])[] = [
    ['an unknown key', `${GOOD}polcy: 1\n`, {}, ['5:1 ']],
    ['no servers', 'policy: [p.yaml]\n', {}, ['1:1 ']],
    [
      'a pin that is none',
      GOOD.replace('mcp"', 'mcp", pin: loose'),
      {},
      ['3:43 must be one of strict, warn, off'],
    ],
    ['pins that say something else', `${GOOD}pins: {lock: x}\n`, {}, ['5:8 unknown key lock']],
    ['a listen address without port', `listen: localhost\n${GOOD}`, {}, ['1:9 must be HOST:PORT']],
    [
      'an address that others can reach',
      `listen: 0.0.0.0:80\n${GOOD}`,
      {},
      ['1:9 0.0.0.0 can be reached from outside', '1:9 0.0.0.0 needs allowed_hosts'],
    ],
    [
      'anonymous callers from outside',
      GOOD.replace('{api_keys: k.yaml}', '{anonymous: allow}') +
        'listen: 0.0.0.0:80\ninsecure: true\nallowed_hosts: [a]\n',
      {},
      ['4:23 anonymous callers'],
    ],
    [
      'nobody who could get in',
      GOOD.replace('{api_keys: k.yaml}', '{anonymous: deny}'),
      {},
      ['4:11 nobody could get in'],
    ],
    [
      'a file URL',
      GOOD.replace('http://127.0.0.1:1/mcp', 'file:///etc/passwd'),
      {},
      ['3:12 must be an http or https URL'],
    ],
    ['credentials in a URL', GOOD.replace('127', 'u:p@127'), {}, ['3:12 must not hold credentials']],
    [
      'a variable that is not set',
      GOOD.replace('mcp"}', 'mcp", headers: {a: "${env:NONE}"}}'),
      {},
      ['3:51 the environment variable NONE is not set'],
    ],
    [
      'a line end from the environment',
      GOOD.replace('mcp"}', 'mcp", headers: {a: "${env:T}"}}'),
      { T: 'a\r\nx: y' },
      ['3:51 the environment variable T holds a line end'],
    ],
    [
      'a line end in a header',
      GOOD.replace('mcp"}', 'mcp", headers: {a: "b\\nc"}}'),
      {},
      ['3:51 a header value'],
    ],
    ['two faults at once', `${GOOD}a: 1\nb: 2\n`, {}, ['5:1 ', '6:1 ']],
  ];
  for (const [what, text, env, expected] of table) {
    test(`with ${what} is refused, with line and column`, () => {
      const found = faults(text, env);
      assert.equal(found.length, expected.length, found.join('\n'));
      expected.forEach((start, index) =>
        assert.ok(found[index]?.startsWith(start), `${found[index]} does not start with ${start}`),
      );
    });
  }

  test('names token issuers, with what is secure where it says nothing', () => {
    const text = GOOD.replace(
      '{api_keys: k.yaml}',
      '{jwt: [{issuer: "https://idp.example", audience: "https://mcp.example/{server}/mcp", clock_skew: 1s}]}',
    );
    const [issuer, ...others] = load(text).jwtIssuers;
    assert.deepEqual(others, []);
    assert.ok(issuer !== undefined);
    assert.deepEqual(
      [issuer.jwksUri, issuer.clockSkewMs, issuer.scopes, issuer.claims],
      [undefined, 1000, [], { user: 'sub', roles: 'roles', agent: undefined, grants: undefined }],
    );
    assert.ok(issuer.algorithms.every((algorithm) => /^(RS|PS|ES)|^Ed/.test(algorithm)));
  });

  const jwt = (members: string): readonly string[] =>
    faults(GOOD.replace('{api_keys: k.yaml}', `\n  jwt:\n    - {audience: a, ${members}}`)).map((text) =>
      text.replace(/(\d+:\d+ .{0,30}).*/s, '$1'),
    );
  const wrong: readonly (readonly [string, string, string])[] = [
    ['an issuer in the clear', 'issuer: "http://idp.example"', '6:29 must be an https URL; http is'],
    ['an issuer that is no URL', 'issuer: idp', '6:29 must be an https URL; http is'],
    ['an issuer with a query', 'issuer: "https://idp.example?a"', '6:29 must have no query and no frag'],
    ['an issuer with credentials', 'issuer: "https://a:b@idp.example"', '6:29 must not hold credentials'],
    ['no issuer', 'scopes: []', '6:7 the key issuer is missing'],
    [
      'a shared-secret algorithm',
      'issuer: "https://a.example", algorithms: [HS256]',
      '6:63 must be one of RS256',
    ],
    ['no signature', 'issuer: "https://a.example", algorithms: [none]', '6:63 must be one of RS256'],
    [
      'a skew that hides everything',
      'issuer: "https://a.example", clock_skew: 1h',
      '6:62 must be a time up to 300s',
    ],
    ['keys in a file', 'issuer: "https://a.example", jwks_uri: "file:///k"', '6:60 must be an https URL'],
    [
      'a scope with a quote',
      `issuer: "https://a.example", scopes: ['a"b']`,
      '6:59 must be a scope, without blank',
    ],
    [
      'an issuer twice',
      'issuer: "https://a.example"}\n    - {audience: b, issuer: "https://a.example"',
      '7:29 this issuer stands twice',
    ],
  ];
  for (const [what, members, expected] of wrong) {
    test(`with ${what} is refused where it stands`, () => {
      const [found = '', ...others] = jwt(members);
      assert.deepEqual(others, []);
      assert.ok(found.startsWith(expected), found);
    });
  }

  const TLS = 'tls: {certificate: t.pem, key: k.pem, client_ca: c.pem}\n';

  test('may be reached from outside by TLS, and lets in whom an authority vouches for', () => {
    const text = GOOD.replace('identity: {api_keys: k.yaml}\n', '');
    const config = load(`${text}listen: 0.0.0.0:443\nallowed_hosts: [mcp.example]\n${TLS}`);
    const [certificate, key, clientCa] = ['t.pem', 'k.pem', 'c.pem'].map((file) => join(directory, file));
    assert.deepEqual(config.tls, { certificate, key, clientCa });
    assert.equal(config.certificateName, 'spiffe');
    assert.equal(load(GOOD).certificateName, undefined);
    const named = GOOD.replace('{api_keys: k.yaml}', '{mtls: {user: dns}}');
    assert.equal(load(`${named}${TLS}`).certificateName, 'dns');
  });

  test('refuses names from certificates that nobody is asked for', () => {
    const named = GOOD.replace('api_keys: k.yaml', 'api_keys: k.yaml, mtls: {user: dns}');
    assert.match(faults(named)[0] ?? '', /^4:36 needs tls\.client_ca/);
    assert.match(faults(`${named}${TLS.replace(', client_ca: c.pem', '')}`)[0] ?? '', /^4:36 needs tls/);
  });

  const oauth = (members: string, more = ''): string =>
    GOOD.replace('mcp"}', `mcp", oauth: {client_id: a, ${members}}${more}}`);

  test('says how tokens for a server are got, with the secret from the environment', () => {
    const text = oauth('token_url: "https://as.example/t", client_secret: "${env:S}", scope: mcp');
    const server = load(text, { S: 'secret' }).servers.get('a');
    assert.deepEqual(server?.kind === 'http' ? server.oauth : undefined, {
      tokenUrl: 'https://as.example/t',
      clientId: 'a',
      clientSecret: 'secret',
      scope: 'mcp',
      resource: undefined,
    });
  });

  test('sends no secret in the clear, and no two credentials', () => {
    const clear = oauth('token_url: "http://as.example/t", client_secret: s');
    assert.match(faults(clear)[0] ?? '', /^3:71 must be an https URL/);
    const two = oauth('token_url: "https://as.example/t", client_secret: s', ', headers: {Authorization: x}');
    assert.match(faults(two)[0] ?? '', /^3:\d+ the header authorization is the one that oauth sets/);
    assert.match(
      faults(oauth('token_url: "https://as.example/t"'))[0] ?? '',
      /the key client_secret is missing/,
    );
  });

  test('that is not there is said to be missing', () => {
    assert.throws(() => loadServeConfig(join(directory, 'none.yaml'), {}), {
      code: 'file_unreadable',
      message: /no such file/,
    });
  });

  const limits = (text: string): readonly string[] => faults(`${GOOD}limits: {message_bytes: ${text}}\n`);
  test('bounds message_bytes: 1 KiB and 64 MiB pass, one less and one more do not', () => {
    assert.deepEqual([limits('1024'), limits('67108864')], [[], []]);
    assert.equal(limits('1023').length, 1);
    assert.equal(limits('67108865').length, 1);
  });
});

test('a listen address is host and port, IPv6 in brackets', () => {
  assert.deepEqual(parseListen('[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(parseListen('localhost:0'), { host: 'localhost', port: 0 });
  for (const bad of ['80', 'host', 'host:65536', 'host:-1', '::1:80', ':80', 'a:b:1'])
    assert.equal(parseListen(bad), undefined, bad);
});

test('keys live in the state directory that XDG names', () => {
  assert.equal(defaultKeysDirectory({ XDG_STATE_HOME: '/x' }), '/x/mcp-verdict/keys');
});
