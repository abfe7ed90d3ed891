/**
 * TLS towards callers, renewed while connections are open. A new certificate is for new connections. New authorities
 * of client certificates are for all: what the former ones vouched for is not believed any more, and a connection
 * that began with such a certificate ends at its next rest.
 */
import type { Server, ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { distrust } from './client-certificate.ts';

/** Everything as PEM. */
export interface DoorTls {
  readonly certificate: string;
  readonly key: string;
  /** Authorities of client certificates; a client without one is let in as far as other credentials take it. */
  readonly clientCa: string | undefined;
}

export function tlsOptions({ certificate, key, clientCa }: DoorTls): ServerOptions {
  return {
    cert: certificate,
    key,
    minVersion: 'TLSv1.2',
    ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true }),
    // A bad certificate is refused like other bad credentials: with an answer, and on record.
    rejectUnauthorized: false,
  };
}

/** @returns takes other certificates, keys and authorities into use */
export function renewable(server: Server, first: DoorTls): (next: DoorTls) => void {
  let current = first;
  const handshakes = new Map<string, Socket>();
  const secured = new Set<TLSSocket>();
  server.on('connection', (socket: Socket) => {
    const name = peerOf(socket);
    handshakes.set(name, socket);
    socket.once('close', () => handshakes.delete(name));
  });
  server.on('secureConnection', (socket) => {
    handshakes.delete(peerOf(socket));
    secured.add(socket);
    socket.once('close', () => secured.delete(socket));
  });
  return (next) => {
    const before = current;
    current = next;
    if (sameFiles(before, next)) return;
    server.setSecureContext(tlsOptions(next));
    if (before.clientCa === next.clientCa) return;
    // They would end with what the former authorities say.
    for (const socket of handshakes.values()) socket.destroy();
    for (const socket of secured) distrust(socket);
    server.closeIdleConnections();
  };
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function sameFiles(a: DoorTls, b: DoorTls): boolean {
  return a.certificate === b.certificate && a.key === b.key && a.clientCa === b.clientCa;
}
