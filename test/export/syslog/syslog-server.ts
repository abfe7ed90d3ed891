/** A loopback syslog server that takes frames apart as RFC 6587, section 3.4.1, has them. */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TlsOptions } from 'node:tls';

export interface SyslogServer {
  readonly port: number;
  /** Whole messages, of all connections in the order of coming. */
  readonly messages: readonly string[];
  /** Connections so far. */
  readonly connections: () => number;
  /** What becomes of the next connections. */
  behave(how: 'read' | 'hang' | 'close'): void;
  /** Ends all connections. */
  drop(): void;
  close(): Promise<void>;
}

export async function startSyslogServer(tls?: TlsOptions): Promise<SyslogServer> {
  const messages: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let behaviour: 'read' | 'hang' | 'close' = 'read';
  const accept = (socket: Socket): void => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    if (behaviour === 'close') socket.destroy();
    if (behaviour !== 'read') return;
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let frame = takeFrame(rest); frame !== undefined; frame = takeFrame(rest)) {
        messages.push(frame.message);
        rest = rest.subarray(frame.end);
      }
    });
  };
  const server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept);
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    // A server that listens on TCP has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    messages,
    connections: () => connections,
    behave: (how) => void (behaviour = how),
    drop: () => {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Throws at what is no frame. */
function takeFrame(bytes: Buffer): { readonly message: string; readonly end: number } | undefined {
  const space = bytes.indexOf(0x20);
  if (space < 0) return undefined;
  const length = Number(bytes.toString('latin1', 0, space));
  if (!Number.isInteger(length)) throw new Error(`not a frame: ${bytes.toString('latin1', 0, 40)}`);
  const end = space + 1 + length;
  return bytes.length < end ? undefined : { message: bytes.toString('utf8', space + 1, end), end };
}
