/**
 * Callers who prove themselves by a client certificate (mTLS): a SPIFFE id, or another name that the configuration
 * picks. TLS has checked that the holder has the key and that an authority of ours has signed; what is here says whom
 * the certificate names.
 */
import { createHash, type X509Certificate } from 'node:crypto';
import type { Authentication, Refusal } from './identity.ts';

/** Which name in a certificate is the caller's. `spiffe`: the one URI, as X509-SVID section 2 wants it. */
export const CERTIFICATE_NAMES = ['spiffe', 'dns', 'email', 'common_name'] as const;

export type CertificateName = (typeof CERTIFICATE_NAMES)[number];

/** What a connection was opened with. */
export interface ClientCertificate {
  /** Whether one of our authorities vouches for it, and for its use by clients. */
  readonly authorized: boolean;
  readonly x509: X509Certificate;
}

/** Characters of a name; a SPIFFE id may have as many bytes as 2,048, which no record would hold. */
export const NAME_CHARS_MAX = 512;

/** @returns why a certificate proves nothing; undefined where it is good */
export function certificateFault(
  { authorized, x509 }: ClientCertificate,
  nowMs: number,
): Refusal | undefined {
  if (!authorized) return invalid('no authority that is trusted here vouches for the client certificate');
  // TLS looked at these when the connection or its session began, which may be long ago.
  if (Date.parse(x509.validTo) <= nowMs) return invalid('the client certificate has expired');
  if (Date.parse(x509.validFrom) > nowMs) return invalid('the client certificate is not valid yet');
  return undefined;
}

/** Whom a certificate names, as an identity. */
export function authenticateCertificate(
  certificate: ClientCertificate,
  name: CertificateName,
  nowMs: number,
): Authentication {
  const fault = certificateFault(certificate, nowMs);
  if (fault !== undefined) return fault;
  const { x509 } = certificate;
  const names = namesIn(x509, name);
  const [caller, ...others] = names ?? [];
  // Of two names, somebody else could go by the other.
  if (caller === undefined || others.length > 0) {
    return invalid(`the client certificate must have exactly one name of the kind ${name}`);
  }
  if (caller.length > NAME_CHARS_MAX) return invalid(`its name has more than ${NAME_CHARS_MAX} characters`);
  if (name === 'spiffe' && !SPIFFE_ID.test(caller)) return invalid('its URI is no SPIFFE id');
  return {
    ok: true,
    identity: Object.freeze({
      source: 'mtls' as const,
      user: caller,
      // The workload that holds the key is the one that acts.
      agent: { id: caller },
      issuer: x509.issuer.replaceAll('\n', ', '),
    }),
  };
}

/** RFC 8705, section 3.1: what a token that is bound to a certificate cites it by. */
export function thumbprintOf({ x509 }: ClientCertificate): string {
  return createHash('sha256').update(x509.raw).digest('base64url');
}

/** SPIFFE-ID, section 2: a trust domain in lower case, a path without empty, `.` and `..` segments. */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/;

const LABELS = { spiffe: 'URI', dns: 'DNS', email: 'email' } as const;

/** undefined where the names cannot be read. */
function namesIn(x509: X509Certificate, name: CertificateName): readonly string[] | undefined {
  if (name === 'common_name') {
    return x509.subject.split('\n').flatMap((line) => /^CN=(.+)$/.exec(line)?.[1] ?? []);
  }
  const all = alternativeNames(x509.subjectAltName ?? '');
  return all?.filter(([label]) => label === LABELS[name]).map(([, value]) => value);
}

/**
 * Splits `DNS:a, URI:b`, as Node writes it: a value that holds what could be mistaken for more is in JSON quotes.
 * Undefined for what is not of that form.
 */
export function alternativeNames(text: string): readonly (readonly [string, string])[] | undefined {
  const names: (readonly [string, string])[] = [];
  const entry = /([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  while (entry.lastIndex < text.length) {
    const [, label = '', value = ''] = entry.exec(text) ?? [];
    if (label === '') return undefined;
    names.push([label, value.startsWith('"') ? unquoted(value) : value]);
  }
  return names;
}

/** A value that cannot be unquoted stays as it is, which is nobody's name. */
function unquoted(value: string): string {
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}

function invalid(message: string): Refusal {
  return { ok: false, reason: 'identity_invalid', message };
}
