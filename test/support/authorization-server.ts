/** A certified OpenID provider in this process, on loopback, that gives tokens to clients by their secret. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import OpenIdProvider from 'oidc-provider';

export const CLIENT = { id: 'claude', secret: 'a-secret-of-a-client-that-is-long-enough' } as const;

export interface AuthorizationServer {
  readonly issuer: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** A token of the client's own. @param resource RFC 8707 */
  token(resource: string, scope?: string): Promise<string>;
  /** Signs with a new key from now on, and publishes no other. */
  rotate(): Promise<void>;
  close(): Promise<void>;
}

export interface AuthorizationServerOptions {
  readonly alg: 'ES256' | 'RS256' | 'PS256' | 'EdDSA';
  /** Beside what RFC 9068 asks for. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** How long tokens are good, in seconds. */
  readonly lifetimeS?: number;
}

export async function startAuthorizationServer(
  options: AuthorizationServerOptions,
): Promise<AuthorizationServer> {
  const asked: string[] = [];
  let serve: RequestListener = (_, response) => void response.writeHead(503).end();
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    serve(request, response);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const rotate = async (): Promise<void> => {
    serve = provider(issuer, await signingKey(options.alg), options).callback();
  };
  await rotate();
  return {
    issuer,
    asked,
    rotate,
    async token(resource, scope) {
      const form = { grant_type: 'client_credentials', resource, ...(scope === undefined ? {} : { scope }) };
      const basic = Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64');
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${basic}` },
        body: new URLSearchParams(form),
      });
      const answer = (await response.json()) as { readonly access_token?: string };
      if (answer.access_token === undefined) throw new Error(`no token: ${JSON.stringify(answer)}`);
      return answer.access_token;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

async function signingKey(alg: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig' };
}

function provider(issuer: string, key: JWK, options: AuthorizationServerOptions): OpenIdProvider {
  const { alg, claims = {}, lifetimeS = 600 } = options;
  return new OpenIdProvider(issuer, {
    jwks: { keys: [key] },
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        // Must be the algorithm of the only key, whether ID tokens are ever asked for or not.
        id_token_signed_response_alg: alg,
      },
    ],
    scopes: ['mcp'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_: unknown, resource: string) => ({
          scope: 'mcp',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: lifetimeS,
          jwt: { sign: { alg } },
        }),
      },
    },
    extraTokenClaims: () => claims,
  });
}
