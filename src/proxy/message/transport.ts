/**
 * What a client asks of the transport itself, by an HTTP verb and without a message (MCP 2025-11-25, transports,
 * Streamable HTTP): made a message, so that a rule can deny it and it leaves a record.
 */
import type { Call } from './call.ts';

export interface TransportMessage {
  readonly kind: 'transport';
  /** `transport/stream`: GET, a stream of the server's own messages. `transport/delete`: DELETE, the session's end. */
  readonly method: 'transport/stream' | 'transport/delete';
  readonly call: Call;
}

const NO_CALL: Call = { modern: false };

export const TRANSPORT_MESSAGES: Readonly<Record<'GET' | 'DELETE', TransportMessage>> = {
  GET: { kind: 'transport', method: 'transport/stream', call: NO_CALL },
  DELETE: { kind: 'transport', method: 'transport/delete', call: NO_CALL },
};
