/** The form of verdict.yaml, as JSON Schema and as a type. Unknown keys are refused everywhere. */

const MAX_LISTEN_NAME = 64;

export const CONFIG_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['policy', 'servers'],
  properties: {
    listen: { type: 'string' },
    insecure: { type: 'boolean' },
    allowed_hosts: { type: 'array', items: { type: 'string', minLength: 1 } },
    allowed_origins: { type: 'array', items: { type: 'string', minLength: 1 } },
    policy: { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
    servers: {
      type: 'object',
      minProperties: 1,
      propertyNames: { pattern: `^[A-Za-z0-9][A-Za-z0-9_.-]{0,${MAX_LISTEN_NAME - 1}}$` },
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['url'],
        properties: {
          url: { type: 'string', minLength: 1 },
          headers: { type: 'object', additionalProperties: { type: 'string' } },
        },
      },
    },
    identity: {
      type: 'object',
      additionalProperties: false,
      properties: {
        api_keys: { type: 'string', minLength: 1 },
        anonymous: { enum: ['allow', 'deny'] },
      },
    },
    keys: {
      type: 'object',
      additionalProperties: false,
      properties: { directory: { type: 'string', minLength: 1 } },
    },
    exporters: {
      type: 'object',
      additionalProperties: false,
      properties: { otlp: { type: 'object', additionalProperties: false, properties: {} } },
    },
    limits: {
      type: 'object',
      additionalProperties: false,
      properties: { message_bytes: { type: 'integer', minimum: 1024, maximum: 67_108_864 } },
    },
    shutdown_timeout_ms: { type: 'integer', minimum: 0, maximum: 300_000 },
  },
} as const;

/** verdict.yaml after the schema has passed it. */
export interface ConfigFile {
  readonly listen?: string;
  readonly insecure?: boolean;
  readonly allowed_hosts?: readonly string[];
  readonly allowed_origins?: readonly string[];
  readonly policy: readonly string[];
  readonly servers: Readonly<
    Record<string, { readonly url: string; readonly headers?: Readonly<Record<string, string>> }>
  >;
  readonly identity?: { readonly api_keys?: string; readonly anonymous?: 'allow' | 'deny' };
  readonly keys?: { readonly directory?: string };
  readonly exporters?: { readonly otlp?: object };
  readonly limits?: { readonly message_bytes?: number };
  readonly shutdown_timeout_ms?: number;
}
