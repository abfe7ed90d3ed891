import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { PATH_LENGTH_MAX, pathUnder, urlHost, URL_LENGTH_MAX } from '../../src/policy/cel-functions.ts';

describe('pathUnder', () => {
  const cases: readonly (readonly [path: string, under: boolean])[] = [
    ['/srv', true],
    ['/srv/', true],
    ['/srv/a/b.txt', true],
    ['//srv///a', true],
    ['/srv/./a', true],
    ['/srv/a/../b', true],
    ['/srv/100%.txt', true],
    ['/srv/ünï', true],
    ['/srvx', false],
    ['/srv/../etc/passwd', false],
    ['/srv/a/../../etc', false],
    ['/SRV/a', false],
    ['/etc/../srv/a', true],
    [`/srv/${'a'.repeat(PATH_LENGTH_MAX - 5)}`, true],
  ];
  for (const [path, under] of cases) {
    test(`${JSON.stringify(path).slice(0, 40)} is ${under ? '' : 'not '}under /srv`, () => {
      assert.equal(pathUnder(path, '/srv'), under);
      assert.equal(pathUnder(path, '/srv/'), under);
    });
  }

  // A plain "no" would let each of these past a deny, a plain "yes" past an allow.
  const refused = [
    '',
    'srv/a',
    './srv/a',
    '../srv',
    '~/srv',
    'file:///srv/a',
    'C:\\srv',
    '/srv/%2e%2e/etc',
    '/srv/%2E%2e%2fetc',
    '/srv/%252e%252e/etc',
    '/srv/%41',
    '/srv/100%25',
    '/srv/\0/../etc',
    '/srv/a\0.txt',
    '/srv/a\t.txt',
    '/srv/a\n',
    '/srv/a\x7f',
    '/srv/\ud800',
    '/srv\\..\\etc',
    `/srv/${'a'.repeat(PATH_LENGTH_MAX - 4)}`,
    `/srv${'/.'.repeat(PATH_LENGTH_MAX)}/secrets`,
  ];
  for (const path of refused) {
    test(`${JSON.stringify(path).slice(0, 40)} is not judged`, () => {
      assert.throws(() => pathUnder(path, '/srv'), /not a plain absolute path/);
      assert.throws(() => pathUnder(path, '/'), /not a plain absolute path/);
    });
  }

  test('a root that is no plain absolute path is not judged either', () => {
    for (const root of ['', 'srv', '.', '/srv\\x', '/srv\0', '/%73rv'])
      assert.throws(() => pathUnder('/srv/a', root), /not a plain absolute path/);
    assert.equal(pathUnder('/anything', '/'), true);
  });

  test('is never fooled into a path that resolves elsewhere', () => {
    const part = fc.constantFrom('..', '.', '', 'srv', 'etc', '%2e%2e', '%2f', '%5c', '..%2f', '%252e.', 'a');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const path = `/${parts.join('/')}`;
        if (path.includes('%')) {
          assert.throws(() => pathUnder(path, '/srv'));
          return;
        }
        if (!pathUnder(path, '/srv')) return;
        for (const reading of [
          path,
          decodeURIComponent(path),
          decodeURIComponent(decodeURIComponent(path)),
        ]) {
          assert.match(new URL(`file://${reading.replaceAll(/\/+/g, '/')}`).pathname, /^\/srv(\/|$)/);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('urlHost', () => {
  const hosts: readonly (readonly [url: string, host: string])[] = [
    ['https://API.Example.com/x', 'api.example.com'],
    ['http://example.com:8080', 'example.com'],
    ['https://example.com.', 'example.com'],
    ['http://[::1]:80/', '::1'],
    ['http://0x7f.1/', '127.0.0.1'],
    ['https://example.com?u=a@b', 'example.com'],
    ['ssh://Git.Example.com/x', 'git.example.com'],
    ['https://bücher.example', 'xn--bcher-kva.example'],
  ];
  for (const [url, host] of hosts) {
    test(`${url} has the host ${host}`, () => {
      assert.equal(urlHost(url), host);
    });
  }

  const refused = [
    '',
    'example.com',
    '/srv',
    'mailto:a@b.example',
    'http:/example.com',
    'http:///example.com',
    'https://',
    'https://good.example@evil.example/',
    'https://good.example\\@evil.example',
    'https://good.example\\.evil.example',
    ' https://example.com',
    'https://exa\tmple.com',
    'https://exa mple.com',
    'https://example.com/\n',
    'javascript:alert(1)',
    `https://example.com/${'a'.repeat(URL_LENGTH_MAX)}`,
  ];
  for (const url of refused) {
    test(`${JSON.stringify(url).slice(0, 40)} has no host that all parsers agree on`, () => {
      assert.throws(() => urlHost(url), /not a URL/);
    });
  }
});
