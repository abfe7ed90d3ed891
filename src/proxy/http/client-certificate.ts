/** The certificate that a client has opened its connection with. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ClientCertificate } from '../../identity/mtls.ts';

/** Read once for each connection. */
const known = new WeakMap<Socket, ClientCertificate>();

/** What was vouched for when the connection began is not any more. */
export function distrust(socket: Socket): void {
  const certificate = clientCertificate(socket);
  if (certificate !== undefined) known.set(socket, { ...certificate, authorized: false });
}

/** Whether that has been said of it. */
export function isDistrusted(socket: Socket): boolean {
  return known.get(socket)?.authorized === false && socket instanceof TLSSocket && socket.authorized;
}

/** undefined where there is none, whatever TLS says of the connection: a resumed one is authorized without. */
export function clientCertificate(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const read = known.get(socket);
  if (read !== undefined) return read;
  const x509 = socket.getPeerX509Certificate();
  if (x509 === undefined) return undefined;
  const certificate = { authorized: socket.authorized, x509 };
  known.set(socket, certificate);
  return certificate;
}
