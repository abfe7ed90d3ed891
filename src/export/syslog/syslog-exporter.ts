/**
 * Sends records to a syslog server over TCP or TLS. The protocol knows no acknowledgement: they count as delivered
 * when the system has taken them for a connection that stands, and what the server loses then nobody learns.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { codeOf } from '../../spool/system-error.ts';
import { DeliveryError, isPassing } from '../acknowledgement.ts';
import { createDirectExporter } from '../direct-exporter.ts';
import type { Exporter } from '../direct-exporter.ts';
import { formatOf } from '../encoding.ts';
import { readPem } from '../pem.ts';
import { systemTimers } from '../timers.ts';
import type { Timers } from '../timers.ts';
import { syslogFrame } from './syslog-message.ts';
import type { Facility } from './syslog-message.ts';

export interface SyslogSettings {
  readonly host: string;
  readonly port: number;
  readonly transport: 'tcp' | 'tls';
  /** One of FORMAT_NAMES. */
  readonly format: string;
  readonly facility: Facility;
  /** To connect, and again to hand over one batch. */
  readonly timeoutMs: number;
  /** Paths of PEM files, for TLS. */
  readonly certificate?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
}

export interface SyslogExporterOptions {
  readonly settings: SyslogSettings;
  readonly timers?: Timers | undefined;
}

/** What a server gets to hear the end of a connection. */
const CLOSE_MS = 1000;

/** After which a peer that is gone without a word is noticed while nothing is sent. */
const KEEP_ALIVE_MS = 30_000;

/** @throws VerdictError config_invalid for a format or a file that is wrong */
export function createSyslogExporter({ settings, timers = systemTimers }: SyslogExporterOptions): Exporter {
  const { host, port, transport, timeoutMs, facility } = settings;
  const format = formatOf(settings.format);
  const endpoint = `${transport}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const line = createLine({ settings, endpoint, timers });
  return createDirectExporter({
    endpoint,
    // It connects, and it writes.
    timeoutMs: 2 * timeoutMs,
    encode: (records) =>
      Buffer.from(records.map((record) => syslogFrame(record, { format, facility })).join('')),
    send: (bytes) => line.write(bytes),
    shutdown: () => line.close(),
  });
}

interface LineOptions {
  readonly settings: SyslogSettings;
  readonly endpoint: string;
  readonly timers: Timers;
}

interface Line {
  /** Rejects with a DeliveryError; a connection that failed is not used again. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when the server has the end of it too: what is broken off may be thrown away there. */
  close(): Promise<void>;
}

function createLine({ settings, endpoint, timers }: LineOptions): Line {
  const { timeoutMs } = settings;
  const open = opener(settings);
  let socket: Socket | undefined;

  /** Resolves when `begin` is told so, before the time is up and while the connection stands. */
  const during = (current: Socket, what: string, begin: (done: () => void) => void): Promise<void> =>
    new Promise((resolve, reject) => {
      const fail = (error: unknown): void => {
        settle();
        if (socket === current) socket = undefined;
        current.destroy();
        reject(trouble(endpoint, error));
      };
      const onClose = (): void => fail(new Error('the server has closed the connection'));
      const cancel = timers.after(timeoutMs, () => {
        fail(Object.assign(new Error(`${what} within ${timeoutMs / 1000} s`), { code: 'ETIMEDOUT' }));
      });
      const settle = (): void => {
        cancel();
        current.off('error', fail);
        current.off('close', onClose);
      };
      current.on('error', fail);
      current.on('close', onClose);
      begin(() => {
        settle();
        resolve();
      });
    });

  const connected = async (): Promise<Socket> => {
    if (socket !== undefined) return socket;
    const opening = open();
    // Whatever comes when nobody waits for it any more.
    opening.socket.on('error', () => {});
    await during(opening.socket, 'no connection', (done) => opening.socket.once(opening.ready, done));
    socket = opening.socket;
    // Between batches: the next one makes a new connection.
    socket.on('close', () => {
      if (socket === opening.socket) socket = undefined;
    });
    // A server says nothing; its end is heard only while it is listened to.
    socket.resume();
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return socket;
  };

  return {
    async write(bytes) {
      const current = await connected();
      await during(current, 'it takes nothing', (done) => {
        current.write(bytes, (error) => {
          if (error === undefined || error === null) done();
        });
      });
    },
    async close() {
      const current = socket;
      if (current === undefined) return;
      socket = undefined;
      await new Promise<void>((resolve) => {
        const cancel = timers.after(CLOSE_MS, () => current.destroy());
        current.once('close', () => {
          cancel();
          resolve();
        });
        current.end();
      });
    },
  };
}

interface Opening {
  readonly socket: Socket;
  /** The event that says that it may be written to. */
  readonly ready: 'connect' | 'secureConnect';
}

function opener(settings: SyslogSettings): () => Opening {
  const { host, port, transport } = settings;
  if (transport === 'tcp')
    return () => ({ socket: connect({ host, port, noDelay: true }), ready: 'connect' });
  const tls = {
    ca: readPem(settings.certificate),
    cert: readPem(settings.clientCertificate),
    key: readPem(settings.clientKey),
  };
  return () => ({ socket: connectTls({ host, port, ...tls }), ready: 'secureConnect' });
}

function trouble(endpoint: string, error: unknown): DeliveryError {
  // Of a name with several addresses.
  if (error instanceof AggregateError && error.errors.length > 0) return trouble(endpoint, error.errors[0]);
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const text = `${endpoint}: ${message}${code === undefined || message.includes(code) ? '' : ` (${code})`}`;
  // A server that ends a connection may be starting again.
  return new DeliveryError({ kind: 'retry', text, alarm: code !== undefined && !isPassing(error) });
}
