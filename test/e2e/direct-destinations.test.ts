/**
 * One `serve` with an exporter of each kind, and behind each a program that nobody here wrote: every one of them holds
 * 5,000 records, proven complete from what it gives back.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fillStream } from '../bench/fill.ts';
import { skipWithoutCollector } from '../support/build-collector.ts';
import { skipWithoutGoPrograms } from '../support/build-go-program.ts';
import { createAuthority, skipWithoutOpenssl } from '../support/certificates.ts';
import { runCli } from '../support/cli.ts';
import { startCollector, type Collector } from '../support/collector.ts';
import { createService, startCallers, startUpstream } from '../support/crash-scene.ts';
import { skipWithoutDebian } from '../support/debian-programs.ts';
import { eventually } from '../support/eventually.ts';
import { textOf } from '../support/fan-out/collector-twin.ts';
import { freePort } from '../support/free-port.ts';
import { startRsyslog, startSyslogNg, type SyslogDaemon } from '../support/syslog-daemons.ts';
import {
  startVictoriaLogs,
  VICTORIA_LOGS,
  VICTORIA_LOGS_USER,
  type VictoriaLogs,
} from '../support/victoria-logs.ts';

const RECORDS = 5000;
/** Made while those are delivered. */
const CALLS = 50;

const skip =
  skipWithoutCollector() ||
  skipWithoutGoPrograms([VICTORIA_LOGS]) ||
  skipWithoutDebian() ||
  skipWithoutOpenssl();

describe('each exporter beside all others', { skip, timeout: 180_000 }, () => {
  const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-direct-'));
  const closing: (() => Promise<unknown>)[] = [];
  let collector: Collector;
  let victoria: VictoriaLogs;
  let rsyslog: SyslogDaemon;
  let syslogNg: SyslogDaemon;
  let key = '';
  /** Of the one process that has delivered. */
  let output = '';
  let stdout = '';

  before(async () => {
    const directory = join(root, 'proxy');
    const otlp = join(directory, 'otlp.jsonl');
    const hecPort = await freePort();
    mkdirSync(join(directory, 'spool'), { recursive: true, mode: 0o700 });
    fillStream(join(directory, 'spool'), RECORDS);
    const config = join(root, 'reader.yaml');
    writeFileSync(config, readerConfig(otlp, hecPort));
    const authority = createAuthority(join(root, 'tls'), 'ca');
    [collector, victoria, rsyslog, syslogNg] = await Promise.all([
      startCollector({
        dir: join(root, 'collector'),
        configs: ['base.yaml', 'destinations/file.yaml', config],
      }),
      startVictoriaLogs(root),
      startRsyslog(join(root, 'rsyslog'), authority.sign('server'), authority.certificate),
      startSyslogNg(join(root, 'syslog-ng')),
    ]);
    closing.push(collector.kill, victoria.kill, rsyslog.stop, syslogNg.stop);
    const upstream = await startUpstream();
    closing.push(upstream.close);
    const service = await createService({
      directory,
      upstreamPort: upstream.port,
      shutdownTimeout: '60s',
      env: { VICTORIA: VICTORIA_LOGS_USER.password },
      more: `exporters:
  stdout: {format: json}
  file: {path: decisions.jsonl, rotate: {max_bytes: 1MiB}}
  collected: {kind: file, path: otlp.jsonl, format: otlp-json}
  allowed: {kind: file, path: allowed.jsonl, effects: [allow]}
  splunk: {kind: http, url: "http://127.0.0.1:${hecPort}/services/collector/raw", batch: lines}
  victoria:
    kind: http
    url: "${victoria.url}/insert/jsonline?_stream_fields=class_name&_time_field=time&_msg_field=raw_data"
    format: ocsf
    batch: lines
    compression: gzip
    basic: {username: ${VICTORIA_LOGS_USER.name}, password: "\${env:VICTORIA}"}
  rsyslog: {kind: syslog, url: "tcp://127.0.0.1:${rsyslog.ports['tcp']}"}
  rsyslog-tls: {kind: syslog, url: "tls://127.0.0.1:${rsyslog.ports['tls']}", certificate: ${authority.certificate}}
  syslog-ng: {kind: syslog, url: "tcp://127.0.0.1:${syslogNg.ports['tcp']}"}
  nowhere: {kind: http, url: "http://127.0.0.1:1/", required: false}
`,
    });
    closing.push(service.kill);
    await service.start();
    const callers = startCallers(service.url, 4);
    const { child } = service.running();
    await eventually('the calls are made while it delivers', () => callers.answered() >= CALLS);
    await callers.stop();
    await eventually(
      'the file has all',
      () => service.running().stdout().split('\n').length > RECORDS,
      60_000,
    );
    const { code, stderr } = await service.stop();
    assert.equal(code, 0, stderr);
    assert.equal(child.exitCode, 0);
    output = stderr;
    stdout = service.running().stdout();
    key = service.publicKey();
    await Promise.all([rsyslog.stop(), syslogNg.stop()]);
  });

  after(async () => {
    await Promise.all(closing.map((close) => close()));
    rmSync(root, { recursive: true, force: true });
  });

  const proven = async (name: string, files: readonly string[]): Promise<void> => {
    const { code, stdout: report, stderr } = await runCli(['records', 'verify', ...files, '--key', key]);
    assert.equal(code, 0, `${name}: ${report}${stderr}`);
    const [, records] = /All proven: (\d+) records in 2 streams/.exec(report) ?? [];
    assert.ok(Number(records) > RECORDS, report);
  };

  const written = (name: string, lines: readonly string[]): string => {
    const file = join(root, `${name}.jsonl`);
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
    return file;
  };

  test('the one that reaches nobody is all that waits', () => {
    assert.match(output, /exporter nowhere: records wait in the spool: nothing listens at/);
    assert.doesNotMatch(output, /exporter (?!nowhere)\S+: records wait/);
  });

  test('stdout is lines of bodies', () =>
    proven('stdout', [written('stdout', stdout.trimEnd().split('\n'))]));

  test('a file that was rotated and gzipped on the way', async () => {
    const directory = join(root, 'proxy');
    const files = readdirSync(directory).filter((name) => /^decisions.*\.jsonl(\.gz)?$/.test(name));
    assert.ok(files.length > 5, files.join(', '));
    await proven(
      'file',
      files.map((name) => join(directory, name)),
    );
  });

  test('a file of what was allowed is filtered, and says so', async () => {
    const file = join(root, 'proxy', 'allowed.jsonl');
    const { code, stdout: report } = await runCli(['records', 'verify', file, '--key', key]);
    assert.equal(code, 1);
    assert.match(report, /where records are filtered nothing can be proven/);
    assert.match(report, /^NOT proven/m);
    const bodies = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.ok(bodies.length >= CALLS);
    for (const body of bodies) assert.match(body, /"verdict\.decision\.effect":"allow"/);
  });

  test('the collector, which reads our file', async () => {
    const isOurs = ({ resource }: { readonly resource: Readonly<Record<string, unknown>> }): boolean =>
      resource['service.name'] === 'mcp-verdict';
    const { logs } = await collector.waitFor((received) => received.logs.filter(isOurs).length > RECORDS);
    await proven('collector', [
      written(
        'collected',
        logs.filter(isOurs).map(({ body }) => textOf(body)),
      ),
    ]);
  });

  test('a Splunk HEC receiver, by its raw endpoint', async () => {
    const logs = collector.logs().filter(({ resource }) => resource['service.name'] !== 'mcp-verdict');
    await proven('splunk', [
      written(
        'splunk',
        logs.map(({ body }) => textOf(body)),
      ),
    ]);
  });

  test('VictoriaLogs, from the raw data that OCSF carries', async () => {
    const rows = await victoria.query('*');
    await proven('victoria', [
      written(
        'victoria',
        rows.map(({ _msg }) => String(_msg)),
      ),
    ]);
    assert.deepEqual(
      [...new Set(rows.map((row) => row['class_name'] ?? ''))].toSorted((a, b) => a.localeCompare(b)),
      ['API Activity', 'Application Lifecycle', 'Base Event'],
    );
  });

  test('rsyslog over TCP', () => proven('rsyslog', [rsyslog.files['tcp'] ?? '']));

  test('rsyslog over TLS', () => proven('rsyslog-tls', [rsyslog.files['tls'] ?? '']));

  test('syslog-ng', () => proven('syslog-ng', [syslogNg.files['tcp'] ?? '']));
});

/** Our file, and a HEC receiver, in the place of the OTLP receiver. */
function readerConfig(input: string, hecPort: number): string {
  return [
    'receivers:',
    '  otlp_json_file:',
    `    include: [${JSON.stringify(input)}]`,
    '    start_at: beginning',
    '    include_file_name: false',
    '  splunk_hec:',
    `    endpoint: 127.0.0.1:${hecPort}`,
    'service:',
    '  pipelines:',
    '    logs/file:',
    '      receivers: [otlp_json_file, splunk_hec]',
    '',
  ].join('\n');
}
