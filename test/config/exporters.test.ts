import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadServeConfig } from '../../src/config.ts';
import { VerdictError } from '../../src/errors.ts';
import type { ExporterPlan } from '../../src/export/delivery-message.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-exporters-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const file = join(directory, 'verdict.yaml');

/** The plans of an `exporters:` block, its first line is line 5. */
function plans(block: string, env: Record<string, string> = {}): readonly ExporterPlan[] | undefined {
  writeFileSync(
    file,
    'policy: [p.yaml]\nservers: {a: {url: "http://127.0.0.1:1/mcp"}}\nidentity: {api_keys: k.yaml}\n' +
      `exporters:\n${block}\n`,
  );
  return loadServeConfig(file, env).exporters;
}

function faults(block: string, env: Record<string, string> = {}): string[] {
  try {
    plans(block, env);
  } catch (error) {
    assert.ok(error instanceof VerdictError && error.code === 'config_invalid', String(error));
    return error.message.split('\n').map((line) => line.slice(file.length + 1));
  }
  return [];
}

/** Each case: what, the block, and how each fault begins. */
type Cases = readonly (readonly [what: string, block: string, starts: readonly string[]])[];

function refused(cases: Cases): void {
  for (const [what, block, starts] of cases) {
    test(`${what} is refused with line and column`, () => {
      const found = faults(block);
      assert.equal(found.length, starts.length, found.join('\n'));
      for (const [index, start] of starts.entries()) {
        assert.ok(found[index]?.startsWith(start), `${found[index]} does not start with ${start}`);
      }
    });
  }
}

describe('exporters of several kinds', () => {
  test('stand side by side: one named after its kind, others by names of their own', () => {
    const found = plans(
      [
        '  otlp: {endpoints: {main: {url: "http://127.0.0.1:4318/v1/logs"}}}',
        '  file: {path: ./a.jsonl}',
        '  soc: {kind: file, path: /var/log/b.cef, format: cef, required: false}',
      ].join('\n'),
    );
    assert.deepEqual(
      found?.map(({ name, kind, required }) => [name, kind, required]),
      [
        ['main', 'otlp', true],
        ['file', 'file', true],
        ['soc', 'file', false],
      ],
    );
  });

  refused([
    ['an unknown kind', '  soc: {kind: fiel, path: x}', ['5:15 must be ']],
    ['a name without a kind', '  fiel: {path: x}', ['5:9 the key kind is missing']],
    ['a kind that is not its name', '  file: {kind: otlp, path: x}', ['5:16 must be file']],
    ['a name that is no file name', '  "a b": {kind: file, path: x}', ['5:3 must be made of a-z']],
    [
      'an unknown key',
      '  soc: {kind: file, path: x, rotat: 1}',
      ['5:30 unknown key rotat; did you mean rotate?'],
    ],
    [
      'one name for two',
      '  otlp: {endpoints: {soc: {url: "http://127.0.0.1:1"}}}\n  soc: {kind: file, path: x}',
      ['5:3 two exporters have the name soc'],
    ],
  ]);
});

describe('the exporter file', () => {
  test('has its path beside the configuration, and writes JSON unless told otherwise', () => {
    const [plan] = plans('  file: {path: ./logs/a.jsonl}') ?? [];
    assert.deepEqual(plan, {
      name: 'file',
      kind: 'file',
      required: true,
      effects: undefined,
      file: { path: join(directory, 'logs/a.jsonl'), format: 'json', rotate: undefined },
    });
  });

  test('takes sizes and times with their units, and gzips what it rotates', () => {
    const [plan] = plans('  file: {path: /a, rotate: {max_bytes: 100MiB, every: 24h, keep: 7}}') ?? [];
    assert.ok(plan?.kind === 'file');
    assert.deepEqual(plan.file.rotate, {
      bytes: 100 * 1024 ** 2,
      everyMs: 86_400_000,
      keep: 7,
      compression: 'gzip',
    });
  });

  refused([
    ['no path', '  file: {format: json}', ['5:9 the key path is missing']],
    ['an unknown format', '  file: {path: x, format: xml}', ['5:27 must be one of json, otlp-json']],
    [
      'a size without a unit that is',
      '  file: {path: x, rotate: {max_bytes: 1XB}}',
      ['5:39 must be a size from'],
    ],
    ['a size too small', '  file: {path: x, rotate: {max_bytes: 1KiB}}', ['5:39 must be a size from']],
    ['a time too short', '  file: {path: x, rotate: {every: 1s}}', ['5:35 must be a time from 1m']],
    [
      'rotation for no reason',
      '  file: {path: x, rotate: {keep: 3}}',
      ['5:27 needs max_bytes, every or both'],
    ],
  ]);
});

describe('the exporter http', () => {
  const SECRET = `whsec_${Buffer.alloc(32).toString('base64')}`;
  const of = (block: string, env?: Record<string, string>) => {
    const [plan] = plans(`  http: {${block}}`, env) ?? [];
    assert.ok(plan?.kind === 'http');
    return plan;
  };

  test('takes credentials and the signing secret from the environment', () => {
    const { http, required } = of(
      'url: "https://h.example/in", bearer: "${env:TOKEN}", signing_secret: "${env:SECRET}", required: false, headers: {X-Tenant: a}',
      { TOKEN: 't', SECRET },
    );
    assert.equal(required, false);
    assert.deepEqual(http.headers, { 'x-tenant': 'a', authorization: 'Bearer t' });
    assert.equal(http.signingSecret, SECRET);
    assert.deepEqual([http.format, http.batch, http.timeoutMs], ['json', 'array', 10_000]);
  });

  test('knows Basic, and puts into one request what a format allows', () => {
    assert.deepEqual(of('url: "https://h/in", basic: {username: ana, password: "p:w"}').http.headers, {
      authorization: `Basic ${Buffer.from('ana:p:w').toString('base64')}`,
    });
    assert.equal(of('url: "https://h/in", format: cef').http.batch, 'lines');
    assert.equal(of('url: "https://h/in", format: otlp-json').http.batch, 'single');
    assert.equal(of('url: "https://h/in", format: ocsf').http.batch, 'array');
  });

  test('sends in clear only to this machine, or where that is said', () => {
    for (const url of ['http://127.0.0.1:1/x', 'http://localhost/x', 'http://[::1]:1/x']) of(`url: "${url}"`);
    of('url: "http://h.example/x", insecure: true');
  });

  refused([
    ['no URL', '  http: {format: json}', ['5:9 the key url is missing']],
    ['what is no URL', '  http: {url: "ftp://h/x"}', ['5:15 must be an http or https URL']],
    ['a URL with credentials', '  http: {url: "https://u:p@h/x"}', ['5:15 must not hold credentials']],
    ['clear text to another machine', '  http: {url: "http://h.example/x"}', ['5:15 whoever is between']],
    [
      'two credentials',
      '  http: {url: "https://h/x", bearer: a, headers: {Authorization: b}}',
      ['5:9 use one of bearer, basic'],
    ],
    [
      'a header of our own',
      '  http: {url: "https://h/x", headers: {Content-Length: "1"}}',
      ['5:39 content-length is set by the exporter'],
    ],
    [
      'a header with a line end',
      '  http: {url: "https://h/x", headers: {a: "b\\nc"}}',
      ['5:43 a header value must not hold'],
    ],
    [
      'an array of CEF',
      '  http: {url: "https://h/x", format: cef, batch: array}',
      ['5:50 an array can hold no cef'],
    ],
    [
      'a secret that is none',
      '  http: {url: "https://h/x", signing_secret: hunter2}',
      ['5:46 must be base64 of 24'],
    ],
    [
      'a certificate without its key',
      '  http: {url: "https://h/x", client_certificate: c.pem}',
      ['5:9 client_certificate and'],
    ],
    ['a timeout too long', '  http: {url: "https://h/x", timeout: 1h}', ['5:39 must be a time up to 300s']],
  ]);
});

describe('the exporters stdout and syslog', () => {
  test('are never required: nobody acknowledges what is written to them', () => {
    const found = plans('  stdout: {format: cef}\n  syslog: {url: "tls://logs.example", format: cef}');
    assert.deepEqual(found, [
      { name: 'stdout', kind: 'stdout', required: false, effects: undefined, stdout: { format: 'cef' } },
      {
        name: 'syslog',
        kind: 'syslog',
        required: false,
        effects: undefined,
        syslog: {
          host: 'logs.example',
          port: 6514,
          transport: 'tls',
          format: 'cef',
          facility: 'local0',
          timeoutMs: 10_000,
          certificate: undefined,
          clientCertificate: undefined,
          clientKey: undefined,
        },
      },
    ]);
  });

  test('know an address with its port, IPv6 in brackets', () => {
    const [plan] = plans('  syslog: {url: "tcp://[::1]:601"}') ?? [];
    assert.ok(plan?.kind === 'syslog');
    assert.deepEqual([plan.syslog.host, plan.syslog.port, plan.syslog.transport], ['::1', 601, 'tcp']);
  });

  refused([
    ['stdout that is required', '  stdout: {required: true}', ['5:22 what is written to stdout']],
    [
      'syslog that is required',
      '  syslog: {url: "tls://h", required: true}',
      ['5:38 what is written to syslog'],
    ],
    ['stdout twice', '  stdout: {}\n  b: {kind: stdout}', ['5:3 two exporters write to stdout: stdout, b']],
    ['TCP without a port', '  syslog: {url: "tcp://127.0.0.1"}', ['5:17 must be tls://HOST']],
    ['a path', '  syslog: {url: "tls://h:1/x"}', ['5:17 must be tls://HOST']],
    ['another transport', '  syslog: {url: "udp://h:514"}', ['5:17 must be tls://HOST']],
    ['clear text to another machine', '  syslog: {url: "tcp://h.example:514"}', ['5:17 whoever is between']],
    ['a facility that is none', '  syslog: {url: "tls://h", facility: local8}', ['5:38 must be one of user']],
    ['OTLP over syslog', '  syslog: {url: "tls://h", format: otlp-json}', ['5:36 must be json, cef or ocsf']],
  ]);
});

describe('effects', () => {
  test('choose what an exporter of any kind gets', () => {
    const found = plans(
      [
        '  otlp: {effects: [deny], endpoints: {a: {url: "http://127.0.0.1:1"}, b: {url: "http://127.0.0.1:2", effects: [allow]}}}',
        '  file: {path: x, effects: [deny, require_approval]}',
      ].join('\n'),
    );
    assert.deepEqual(
      found?.map(({ effects }) => effects),
      [['deny'], ['allow'], ['deny', 'require_approval']],
    );
  });

  refused([
    ['an effect that is none', '  file: {path: x, effects: [denied]}', ['5:29 must be one of allow, deny']],
    ['none at all', '  file: {path: x, effects: []}', ['5:28 must not be empty']],
    ['one twice', '  file: {path: x, effects: [deny, deny]}', ['5:28 must not have the same entry twice']],
  ]);
});
