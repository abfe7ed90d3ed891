/** An exporter of kind `syslog`, as verdict.yaml says it. */
import { resolve } from 'node:path';
import type { SyslogSettings } from '../export/syslog/syslog-exporter.ts';
import { isLoopbackHost } from '../proxy/http/guard.ts';
import type { SyslogEntry } from './exporter-schema.ts';
import { timeoutOf } from './quantity.ts';
import type { Assembly } from './spool.ts';

/** RFC 5425, section 4.1; syslog over plain TCP has none that all agree on. */
const TLS_PORT = 6514;
const TIMEOUT_MS_DEFAULT = 10_000;

export function syslogOf(name: string, entry: SyslogEntry, { base, fault }: Assembly): SyslogSettings {
  const pointer = `/exporters/${name}`;
  const { format = 'json' } = entry;
  if (format === 'otlp-json')
    fault(`${pointer}/format`, 'must be json, cef or ocsf: no syslog server reads OTLP');
  if ((entry.client_certificate === undefined) !== (entry.client_key === undefined)) {
    fault(pointer, 'client_certificate and client_key go together');
  }
  const file = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(base, path);
  return {
    ...addressOf(`${pointer}/url`, entry, fault),
    format,
    facility: entry.facility ?? 'local0',
    timeoutMs: timeoutOf(`${pointer}/timeout`, entry.timeout, fault) ?? TIMEOUT_MS_DEFAULT,
    certificate: file(entry.certificate),
    clientCertificate: file(entry.client_certificate),
    clientKey: file(entry.client_key),
  };
}

function addressOf(
  pointer: string,
  { url: text, insecure }: SyslogEntry,
  fault: Assembly['fault'],
): Pick<SyslogSettings, 'host' | 'port' | 'transport'> {
  const [, scheme, authority = ''] = /^(tls|tcp):\/\/([^/?#@]+)$/.exec(text) ?? [];
  const transport = scheme === 'tls' ? 'tls' : 'tcp';
  const address = transport === 'tls' && !/:\d+$/.test(authority) ? `${authority}:${TLS_PORT}` : authority;
  const { host, port } = parseAddress(address) ?? { host: '', port: 0 };
  if (port === 0) {
    fault(pointer, 'must be tls://HOST, tls://HOST:PORT or tcp://HOST:PORT');
  } else if (transport === 'tcp' && insecure !== true && !isLoopbackHost(host)) {
    fault(
      pointer,
      `whoever is between here and ${host} can read and change what is sent; use tls://, or put "insecure: true" beside it`,
    );
  }
  return { host, port, transport };
}

/** `HOST:PORT`, an IPv6 address in brackets. */
function parseAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  if (!URL.canParse(`tcp://${text}`)) return undefined;
  const { hostname, port } = new URL(`tcp://${text}`);
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}
