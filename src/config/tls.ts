/** The part of verdict.yaml that says how callers reach us by TLS. */
import { resolve } from 'node:path';
import type { CertificateName } from '../identity/mtls.ts';
import type { ConfigFile } from './schema.ts';

/** Paths of PEM files. */
export interface TlsConfig {
  readonly certificate: string;
  readonly key: string;
  /** Whose client certificates are believed; undefined: none is asked for. */
  readonly clientCa: string | undefined;
}

export interface TlsPart {
  readonly tls: TlsConfig | undefined;
  /** Which name in a client certificate is the caller's; undefined: certificates say nothing of who calls. */
  readonly certificateName: CertificateName | undefined;
}

export function tlsOf(
  { tls, identity }: ConfigFile,
  base: string,
  fault: (pointer: string, message: string) => void,
): TlsPart {
  if (identity?.mtls !== undefined && tls?.client_ca === undefined) {
    fault('/identity/mtls', 'needs tls.client_ca beside listen: whose certificates are to be believed');
  }
  if (tls === undefined) return { tls: undefined, certificateName: undefined };
  return {
    tls: {
      certificate: resolve(base, tls.certificate),
      key: resolve(base, tls.key),
      clientCa: tls.client_ca === undefined ? undefined : resolve(base, tls.client_ca),
    },
    certificateName: tls.client_ca === undefined ? undefined : (identity?.mtls?.user ?? 'spiffe'),
  };
}
