/** Who asks. Only verified facts are here; what a client says of itself is `Claimed`. */
import type { ErrorCode } from '../errors.ts';
import type { IdentitySource } from '../event/vocabulary.ts';

export interface Identity {
  readonly source: IdentitySource;
  /** The human or service behind the call. */
  readonly user?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly agent?: { readonly id?: string | undefined; readonly name?: string | undefined } | undefined;
  /** Who vouches: keys file, host name, token issuer. */
  readonly issuer?: string | undefined;
  /** `SERVER/TOOL` globs that the credentials are limited to; undefined: policy alone says. */
  readonly grants?: readonly string[] | undefined;
  /** Id of the API key that proved it; never the key. */
  readonly keyId?: string | undefined;
  /** Who acts for the user: the current actor first, then whoever has passed the task on to it (RFC 8693). */
  readonly delegation?: readonly string[] | undefined;
}

export const ANONYMOUS: Identity = Object.freeze({ source: 'none' });

export function isAuthenticated(identity: Identity): boolean {
  return identity.source !== 'none';
}

/** What the client says of itself. Recorded, never decided on. */
export interface Claimed {
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly userAgent?: string | undefined;
}

/** Why credentials prove nothing. */
export interface Refusal {
  readonly ok: false;
  readonly reason: 'identity_missing' | 'identity_invalid';
  /** Of the error that answers it, where it is not the one of the reason's name. */
  readonly code?: Extract<ErrorCode, `identity_${string}`>;
  /** Holds nothing of the credentials. */
  readonly message: string;
}

/** The result of checking credentials. There is no default principal: a failure is a failure. */
export type Authentication = { readonly ok: true; readonly identity: Identity } | Refusal;
