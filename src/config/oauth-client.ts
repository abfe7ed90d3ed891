/** The part of a server in verdict.yaml that says how we get tokens for it. */
import { endpointFault } from './identity.ts';

const TEXT = { type: 'string', minLength: 1 } as const;

export const OAUTH_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['token_url', 'client_id', 'client_secret'],
  properties: { token_url: TEXT, client_id: TEXT, client_secret: TEXT, scope: TEXT, resource: TEXT },
} as const;

/** After the schema has passed it. */
export interface OAuthEntry {
  readonly token_url: string;
  readonly client_id: string;
  readonly client_secret: string;
  readonly scope?: string;
  readonly resource?: string;
}

/** A client of an authorization server: us, towards one upstream. */
export interface OAuthClient {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope: string | undefined;
  /** RFC 8707. */
  readonly resource: string | undefined;
}

/** @param pointer of the server @param headers that are sent to it as they stand, in lower case */
export function oauthClientOf(
  pointer: string,
  entry: OAuthEntry | undefined,
  headers: Readonly<Record<string, string>>,
  fault: (pointer: string, message: string) => void,
): OAuthClient | undefined {
  if (entry === undefined) return undefined;
  const wrong = endpointFault(entry.token_url);
  if (wrong !== undefined) fault(`${pointer}/oauth/token_url`, wrong);
  if (headers['authorization'] !== undefined) {
    fault(`${pointer}/headers`, 'the header authorization is the one that oauth sets; use one of them');
  }
  const { token_url: tokenUrl, client_id: clientId, client_secret: clientSecret, scope, resource } = entry;
  return { tokenUrl, clientId, clientSecret, scope, resource };
}
