/**
 * VictoriaLogs, a log store with an OTLP endpoint of its own. It stands in for Loki, which is not used here since it is
 * under the AGPL: what it returns was taken in, stored and queried by a program that knows nothing of ours.
 */
import { join } from 'node:path';
import { findGoProgram, type GoProgram } from './build-go-program.ts';
import { startServer, type ServerProgram } from './server-program.ts';

export const VICTORIA_LOGS: GoProgram = {
  module: 'github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs',
  version: 'v1.52.1',
  trial: ['-version'],
};

/** Both are demanded of whoever writes or queries. */
export const VICTORIA_LOGS_USER = { name: 'collector', password: 'made-up-loki-token' } as const;

/** A row as a query gives it: every value is a string. */
export type Row = Readonly<Record<string, string>>;

export interface VictoriaLogs extends ServerProgram {
  /** The rows that a LogsQL query gives, with all that was answered with 200 before. */
  readonly query: (logsQl: string) => Promise<readonly Row[]>;
}

/** @param dir where its data lies, which outlives a restart */
export async function startVictoriaLogs(dir: string): Promise<VictoriaLogs> {
  const server = await startServer({
    binary: await findGoProgram(VICTORIA_LOGS),
    args: (port) => [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-storageDataPath=${join(dir, 'victoria-logs')}`,
      `-httpAuth.username=${VICTORIA_LOGS_USER.name}`,
      `-httpAuth.password=${VICTORIA_LOGS_USER.password}`,
      // As long as Loki's `reject_old_samples: false`.
      '-retentionPeriod=100y',
      // The default waits for rows to come together, and a query must see what was acknowledged.
      '-inmemoryDataFlushInterval=1s',
    ],
    healthPath: '/health',
  });
  return { ...server, query: (logsQl) => query(server.url, logsQl) };
}

/** The value of an Authorization header. */
export function basicAuthorization({ name, password }: typeof VICTORIA_LOGS_USER): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}

async function query(url: string, logsQl: string): Promise<readonly Row[]> {
  const headers = { authorization: basicAuthorization(VICTORIA_LOGS_USER) };
  await answered(await fetch(`${url}/internal/force_flush`, { headers }));
  const body = new URLSearchParams({ query: logsQl });
  const text = await answered(await fetch(`${url}/select/logsql/query`, { method: 'POST', headers, body }));
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Row);
}

async function answered(response: Response): Promise<string> {
  const text = await response.text();
  if (!response.ok) throw new Error(`VictoriaLogs answered ${response.status}: ${text}`);
  return text;
}
