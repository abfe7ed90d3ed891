/** The form of verdict.yaml, as JSON Schema and as a type. Unknown keys are refused everywhere. */

import type { Effect } from '../event/vocabulary.ts';
import { DENIAL_STYLES, type DenialStyle } from '../policy/verdict.ts';
import {
  EFFECTS_SCHEMA,
  EXPORTER_NAME,
  EXPORTER_NAME_WORDS,
  KIND_EXPORTERS,
  NAMED_EXPORTER,
  type DirectEntry,
} from './exporter-schema.ts';
import { IDENTITY_SCHEMA, type IdentityEntry } from './identity-schema.ts';
import { PINS_SCHEMA, type PinsEntry } from './pins.ts';
import { CHILD_LIMITS_SCHEMA, SERVER_SCHEMA, type ChildLimitsEntry, type ServerEntry } from './servers.ts';
import { RELOAD_SCHEMA, type ReloadEntry } from './reload.ts';

const MAX_LISTEN_NAME = 64;

export const CONFIG_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['policy', 'servers'],
  properties: {
    listen: { type: 'string' },
    insecure: { type: 'boolean' },
    tls: {
      type: 'object',
      additionalProperties: false,
      required: ['certificate', 'key'],
      properties: {
        certificate: { type: 'string', minLength: 1 },
        key: { type: 'string', minLength: 1 },
        client_ca: { type: 'string', minLength: 1 },
      },
    },
    allowed_hosts: { type: 'array', items: { type: 'string', minLength: 1 } },
    allowed_origins: { type: 'array', items: { type: 'string', minLength: 1 } },
    policy: { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
    servers: {
      type: 'object',
      minProperties: 1,
      propertyNames: { pattern: `^[A-Za-z0-9][A-Za-z0-9_.-]{0,${MAX_LISTEN_NAME - 1}}$` },
      additionalProperties: SERVER_SCHEMA,
    },
    identity: IDENTITY_SCHEMA,
    pins: PINS_SCHEMA,
    keys: {
      type: 'object',
      additionalProperties: false,
      properties: { directory: { type: 'string', minLength: 1 } },
    },
    exporters: {
      type: 'object',
      propertyNames: { pattern: EXPORTER_NAME, description: EXPORTER_NAME_WORDS },
      additionalProperties: NAMED_EXPORTER,
      properties: {
        ...KIND_EXPORTERS,
        otlp: {
          type: 'object',
          additionalProperties: false,
          properties: {
            required: { type: 'boolean' },
            effects: EFFECTS_SCHEMA,
            endpoints: {
              type: 'object',
              minProperties: 1,
              maxProperties: 16,
              propertyNames: { pattern: EXPORTER_NAME, description: EXPORTER_NAME_WORDS },
              additionalProperties: {
                type: 'object',
                additionalProperties: false,
                required: ['url'],
                properties: {
                  url: { type: 'string', minLength: 1 },
                  required: { type: 'boolean' },
                  effects: EFFECTS_SCHEMA,
                  protocol: { enum: ['http/json', 'http/protobuf'] },
                  headers: { type: 'object', additionalProperties: { type: 'string' } },
                  timeout: { type: 'string' },
                  compression: { enum: ['gzip', 'none'] },
                  certificate: { type: 'string', minLength: 1 },
                  client_certificate: { type: 'string', minLength: 1 },
                  client_key: { type: 'string', minLength: 1 },
                },
              },
            },
          },
        },
      },
    },
    limits: {
      type: 'object',
      additionalProperties: false,
      properties: {
        message_bytes: { type: 'integer', minimum: 1024, maximum: 67_108_864 },
        ...CHILD_LIMITS_SCHEMA,
      },
    },
    admin: {
      type: 'object',
      additionalProperties: false,
      required: ['listen'],
      properties: { listen: { type: 'string' } },
    },
    spool: {
      type: 'object',
      additionalProperties: false,
      properties: {
        directory: { type: 'string', minLength: 1 },
        durability: { enum: ['sync', 'os', 'none'] },
        max_bytes: { type: ['string', 'integer'] },
        keep: { type: 'string' },
      },
    },
    denials: { enum: DENIAL_STYLES },
    on_audit_failure: { enum: ['deny', 'allow'] },
    kill_switch: { type: 'string', minLength: 1 },
    reload: RELOAD_SCHEMA,
    shutdown_timeout: { type: 'string' },
  },
} as const;

/** verdict.yaml after the schema has passed it. */
export interface ConfigFile {
  readonly listen?: string;
  readonly insecure?: boolean;
  readonly tls?: { readonly certificate: string; readonly key: string; readonly client_ca?: string };
  readonly allowed_hosts?: readonly string[];
  readonly allowed_origins?: readonly string[];
  readonly policy: readonly string[];
  readonly servers: Readonly<Record<string, ServerEntry>>;
  readonly identity?: IdentityEntry;
  readonly pins?: PinsEntry;
  readonly keys?: { readonly directory?: string };
  /** `otlp` is an OtlpEntry. */
  readonly exporters?: Readonly<Record<string, OtlpEntry | DirectEntry>>;
  readonly limits?: ChildLimitsEntry & { readonly message_bytes?: number };
  readonly admin?: { readonly listen: string };
  readonly spool?: {
    readonly directory?: string;
    readonly durability?: 'sync' | 'os' | 'none';
    readonly max_bytes?: string | number;
    readonly keep?: string;
  };
  readonly denials?: DenialStyle;
  readonly on_audit_failure?: 'deny' | 'allow';
  readonly kill_switch?: string;
  readonly reload?: ReloadEntry;
  readonly shutdown_timeout?: string;
}

export interface OtlpEntry {
  readonly required?: boolean;
  readonly effects?: readonly Effect[];
  /** By name; each has a cursor of its own. */
  readonly endpoints?: Readonly<Record<string, EndpointEntry>>;
}

export interface EndpointEntry {
  readonly url: string;
  readonly required?: boolean;
  readonly effects?: readonly Effect[];
  readonly protocol?: 'http/json' | 'http/protobuf';
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeout?: string;
  readonly compression?: 'gzip' | 'none';
  readonly certificate?: string;
  readonly client_certificate?: string;
  readonly client_key?: string;
}
