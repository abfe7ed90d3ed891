/** Certificates for tests, made by the `openssl` on the machine: Node makes keys, but no certificates. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isOnPath } from './cached-build.ts';

/** For the `skip` of a test that needs certificates; with CI=true it fails instead. */
export function skipWithoutOpenssl(env: NodeJS.ProcessEnv = process.env): string | false {
  return env['CI'] === 'true' || isOnPath('openssl', env) ? false : 'there is no openssl on the PATH';
}

/** Paths of PEM files. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /**
   * Signs a certificate that is good as a server at 127.0.0.1 and localhost, and as a client.
   * @param extensions lines of an OpenSSL extension section, instead
   */
  readonly sign: (name: string, extensions?: readonly string[]) => Certificate;
}

/** Makes an authority of its own kind: each call makes one that the others do not trust. */
export function createAuthority(directory: string, name: string): Authority {
  mkdirSync(directory, { recursive: true });
  const own = paths(directory, name);
  const subject = ['-subj', `/CN=${name}`];
  openssl(['req', '-x509', ...newKey(own.key), ...subject, '-days', '2', '-out', own.certificate]);
  return {
    ...own,
    sign: (holder, lines = EXTENSIONS) => {
      const signed = paths(directory, holder);
      const request = join(directory, `${holder}.csr`);
      const extensions = join(directory, `${holder}.ext`);
      writeFileSync(extensions, `${lines.join('\n')}\n`);
      openssl(['req', ...newKey(signed.key), '-subj', `/CN=${holder}`, '-out', request]);
      const issuer = ['-CA', own.certificate, '-CAkey', own.key, '-CAcreateserial'];
      openssl([
        'x509',
        '-req',
        '-in',
        request,
        ...issuer,
        '-days',
        '2',
        '-extfile',
        extensions,
        '-out',
        signed.certificate,
      ]);
      return signed;
    },
  };
}

const EXTENSIONS = ['subjectAltName=IP:127.0.0.1,DNS:localhost', 'extendedKeyUsage=serverAuth,clientAuth'];

function paths(directory: string, name: string): Certificate {
  return { certificate: join(directory, `${name}.pem`), key: join(directory, `${name}-key.pem`) };
}

function newKey(path: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', path];
}

function openssl(args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${error?.message ?? stderr}`);
}
