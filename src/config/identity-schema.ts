/** The form of `identity` in verdict.yaml. */
import { ALGORITHMS, type Algorithm } from '../identity/jwt.ts';
import { CERTIFICATE_NAMES, type CertificateName } from '../identity/mtls.ts';

const CLAIM = { type: 'string', minLength: 1, maxLength: 256 } as const;

export const IDENTITY_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: {
    api_keys: { type: 'string', minLength: 1 },
    anonymous: { enum: ['allow', 'deny'] },
    mtls: {
      type: 'object',
      additionalProperties: false,
      properties: { user: { enum: CERTIFICATE_NAMES } },
    },
    jwt: {
      type: 'array',
      minItems: 1,
      maxItems: 16,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['issuer', 'audience'],
        properties: {
          issuer: { type: 'string', minLength: 1 },
          audience: { type: 'string', minLength: 1 },
          jwks_uri: { type: 'string', minLength: 1 },
          algorithms: { type: 'array', minItems: 1, uniqueItems: true, items: { enum: ALGORITHMS } },
          clock_skew: { type: 'string' },
          scopes: {
            type: 'array',
            uniqueItems: true,
            items: {
              type: 'string',
              pattern: '^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$',
              description: 'a scope, without blanks, quotes and backslashes (RFC 6749, section 3.3)',
            },
          },
          claims: {
            type: 'object',
            additionalProperties: false,
            properties: { user: CLAIM, roles: CLAIM, agent: CLAIM, grants: CLAIM },
          },
        },
      },
    },
  },
} as const;

/** After the schema has passed it. */
export interface IdentityEntry {
  readonly api_keys?: string;
  readonly anonymous?: 'allow' | 'deny';
  readonly jwt?: readonly JwtEntry[];
  readonly mtls?: { readonly user?: CertificateName };
}

export interface JwtEntry {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks_uri?: string;
  readonly algorithms?: readonly Algorithm[];
  readonly clock_skew?: string;
  readonly scopes?: readonly string[];
  readonly claims?: {
    readonly user?: string;
    readonly roles?: string;
    readonly agent?: string;
    readonly grants?: string;
  };
}
