/**
 * `/healthz` and `/readyz`, for orchestrators. Alive: the process runs. Ready: a call made now would be recorded.
 * A collector that is down makes nobody unready, because records wait in the spool for it.
 */
import { createServer } from 'node:http';
import { VerdictError } from '../errors.ts';
import type { SpoolReading } from './spool-metrics.ts';

export interface HealthOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly version: string;
  /** undefined where records are not spooled. */
  readonly spool: () => SpoolReading | undefined;
  /** What is stopped by hand. It makes nobody unready: calls are answered, and their refusals recorded. */
  readonly killed: () => readonly string[];
}

export interface HealthServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** What `/readyz` says, and why. Pure. */
export function readiness(spool: SpoolReading | undefined): {
  readonly ready: boolean;
  readonly why: string[];
} {
  if (spool === undefined) return { ready: true, why: [] };
  const why: string[] = [];
  if (!spool.healthy) why.push('the spool takes no records: calls are refused');
  if (spool.size.full)
    why.push('the spool has reached spool.max_bytes, and nothing in it may be freed: calls are refused');
  return { ready: why.length === 0, why };
}

/** Throws `listen_failed`. */
export async function serveHealth({ listen, version, spool, killed }: HealthOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    const reading = spool();
    const { ready, why } = readiness(reading);
    const known = path === '/healthz' || path === '/readyz';
    const status = known ? (path === '/healthz' || ready ? 200 : 503) : 404;
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(
      known
        ? `${JSON.stringify({ status: status === 200 ? 'ok' : 'unavailable', why, killed: killed(), version, spool: reading })}\n`
        : '',
    );
  });
  server.requestTimeout = 5000;
  server.unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const address = `${listen.host}:${listen.port}`;
      reject(new VerdictError('listen_failed', { address, detail: error.message }, { cause: error }));
    });
    server.listen(listen.port, listen.host, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : listen.port;
  return {
    host: listen.host,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
