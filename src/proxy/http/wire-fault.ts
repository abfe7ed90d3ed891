/**
 * Requests that node:http gives up before they are requests to us: malformed or too large heads, bodies that break
 * off, CONNECT, expectations. Each is recorded and answered like any other refusal.
 */
import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Answer, Origin, Rejection } from '../gate.ts';
import { shown } from '../message/strict-json.ts';
import { sendJson } from './exchange.ts';
import { ANSWER_SAFETY } from './headers.ts';
import { METHODS } from './reply.ts';
import { errorCode } from './upstream.ts';
import type { HttpDesk } from './visit.ts';

type Fault = Pick<Rejection, 'code' | 'details'>;

/** Listens for what the server would else settle by itself, in silence. */
export function watchWire(server: Server, desk: HttpDesk): void {
  const told = new WeakSet<Duplex>();
  server.on('clientError', (error: Error, socket: Duplex) => {
    const visits = [...desk.open].filter(({ request }) => request.socket === socket);
    const half = visits.find(({ request }) => !request.complete);
    const fault = faultOf(error, desk.relay.limits.headerBytesMax);
    // A connection that breaks, or that stands unused, has asked nothing. A broken body is its visit's to record.
    if (fault === undefined || told.has(socket) || !hasSent(socket)) {
      socket.destroy();
      return;
    }
    told.add(socket);
    if (half !== undefined) half.faulty = true;
    const answer = record(desk, fault, half?.origin ?? originOf(socket));
    // This one would be taken for the answer to a request before it, or for a part of that.
    if (visits.some((visit) => visit !== half || visit.client.headersSent)) socket.destroy();
    else writeAnswer(socket, fault, answer);
  });
  server.on('connect', (_: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => {});
    const fault: Fault = { code: 'http_method', details: {} };
    writeAnswer(socket, fault, record(desk, fault, originOf(socket)));
  });
  server.on('checkExpectation', ({ headers, socket }: IncomingMessage, client: ServerResponse) => {
    const fault: Fault = { code: 'http_expectation', details: { value: shown(headers.expect ?? '') } };
    client.on('error', () => {});
    client.setHeaders(new Map([...Object.entries(ANSWER_SAFETY), ['connection', 'close']]));
    sendJson(client, record(desk, fault, originOf(socket)));
  });
}

/** undefined where the connection has failed, and not what came over it. */
function faultOf(error: Error, headerBytesMax: number): Fault | undefined {
  const code = errorCode(error);
  if (code === 'HPE_HEADER_OVERFLOW') return { code: 'http_oversize', details: { max: headerBytesMax } };
  if (code === 'HPE_INVALID_METHOD') return { code: 'http_method', details: {} };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return { code: 'http_slow', details: {} };
  return code.startsWith('HPE_') ? { code: 'http_malformed', details: { detail: code } } : undefined;
}

function hasSent(socket: Duplex): boolean {
  return socket instanceof Socket && socket.bytesRead > 0;
}

function originOf(socket: Duplex): Partial<Origin> {
  return { transport: 'tcp', clientAddress: socket instanceof Socket ? socket.remoteAddress : undefined };
}

function record({ relay }: HttpDesk, fault: Fault, origin: Partial<Origin>): Answer {
  return relay.gate.reject({ reason: 'parse', ...fault, origin, id: null });
}

/** Writes an answer by hand, since there is no ServerResponse to write it with, and ends the connection. */
function writeAnswer(socket: Duplex, { code }: Fault, { httpStatus, body = new Uint8Array() }: Answer): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const headers = {
    ...ANSWER_SAFETY,
    ...(code === 'http_method' ? { allow: METHODS } : {}),
    connection: 'close',
    'content-type': 'application/json',
    'content-length': String(body.length),
  };
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${httpStatus} ${STATUS_CODES[httpStatus] ?? ''}\r\n${fields.join('')}\r\n`);
  socket.end(body);
  if (socket instanceof Socket) socket.destroySoon();
}
