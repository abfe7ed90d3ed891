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
  /** None. */
  readonly bytes: Uint8Array;
}

const NOTHING = { call: { modern: false }, bytes: new Uint8Array() } as const;

export const TRANSPORT_MESSAGES: Readonly<Record<'GET' | 'DELETE', TransportMessage>> = {
  GET: { kind: 'transport', method: 'transport/stream', ...NOTHING },
  DELETE: { kind: 'transport', method: 'transport/delete', ...NOTHING },
};
