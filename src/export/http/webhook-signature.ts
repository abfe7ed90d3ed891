/**
 * Signs requests as Standard Webhooks 1.0 has it (standardwebhooks.com), which has a library in every language.
 *
 * The recipe: with the key K, which is the secret without `whsec_`, decoded from base64, the signature of the body B
 * sent as ID at T seconds since the Unix epoch is `v1,` and the base64 of HMAC-SHA256(K, ID "." T "." B). B is the body
 * before compression. Who checks it also refuses a T that is minutes away from the present, and an ID seen before.
 */
import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Of a key, in bytes (Standard Webhooks, "Signature scheme"). */
export const KEY_BYTES = { min: 24, max: 64 } as const;

/** The key in a secret, with `whsec_` or without; undefined for what holds none. */
export function signingKeyIn(secret: string): Buffer | undefined {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
  const key = BASE64.test(text) ? Buffer.from(text, 'base64') : Buffer.alloc(0);
  return key.length >= KEY_BYTES.min && key.length <= KEY_BYTES.max ? key : undefined;
}

export interface SignedRequest {
  /** The same for each attempt at the same records. */
  readonly id: string;
  readonly nowMs: number;
  readonly body: string | Uint8Array;
}

export function signatureHeaders(
  key: Uint8Array,
  { id, nowMs, body }: SignedRequest,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
