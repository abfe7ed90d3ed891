/**
 * The form of `exporters` in verdict.yaml, but for `otlp`: an entry whose name is that of a kind is of that kind, any
 * other says its own as `kind`.
 */
import { EFFECTS, type Effect } from '../event/vocabulary.ts';
import { BATCHES, type Batch } from '../export/http/http-exporter.ts';
import { FACILITIES, type Facility } from '../export/syslog/syslog-message.ts';
import { FORMAT_NAMES } from '../format/formats.ts';

/** Also of cursor files. */
export const EXPORTER_NAME = '^[a-z0-9_-]{1,64}$';
export const EXPORTER_NAME_WORDS = 'made of a-z, 0-9, _ and -, at most 64 of them';

/** Of any exporter: only decisions of these effects go to it. */
export const EFFECTS_SCHEMA = {
  type: 'array',
  minItems: 1,
  uniqueItems: true,
  items: { enum: EFFECTS },
} as const;

export const KINDS = ['file', 'http', 'stdout', 'syslog'] as const;

export type Kind = (typeof KINDS)[number];

/** Of every kind. */
const common = {
  format: { enum: FORMAT_NAMES },
  required: { type: 'boolean' },
  effects: EFFECTS_SCHEMA,
};

const PROPERTIES = {
  file: {
    path: { type: 'string', minLength: 1 },
    rotate: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: {
        max_bytes: { type: ['string', 'integer'] },
        every: { type: 'string' },
        keep: { type: 'integer', minimum: 0, maximum: 100_000 },
        compression: { enum: ['gzip', 'none'] },
      },
    },
  },
  http: {
    url: { type: 'string', minLength: 1 },
    batch: { enum: BATCHES },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
    bearer: { type: 'string', minLength: 1 },
    basic: {
      type: 'object',
      additionalProperties: false,
      required: ['username', 'password'],
      properties: { username: { type: 'string' }, password: { type: 'string' } },
    },
    compression: { enum: ['gzip', 'none'] },
    timeout: { type: 'string' },
    certificate: { type: 'string', minLength: 1 },
    client_certificate: { type: 'string', minLength: 1 },
    client_key: { type: 'string', minLength: 1 },
    signing_secret: { type: 'string', minLength: 1 },
    insecure: { type: 'boolean' },
  },
  stdout: {},
  syslog: {
    url: { type: 'string', minLength: 1 },
    facility: { enum: Object.keys(FACILITIES) },
    timeout: { type: 'string' },
    certificate: { type: 'string', minLength: 1 },
    client_certificate: { type: 'string', minLength: 1 },
    client_key: { type: 'string', minLength: 1 },
    insecure: { type: 'boolean' },
  },
} as const satisfies Record<Kind, object>;

const REQUIRED = { file: ['path'], http: ['url'], stdout: [], syslog: ['url'] } as const satisfies Record<
  Kind,
  readonly string[]
>;

function entryOf(kind: Kind) {
  return {
    type: 'object',
    additionalProperties: false,
    required: REQUIRED[kind],
    properties: { kind: { const: kind }, ...PROPERTIES[kind], ...common },
  };
}

/** Entries that are named after their kind. */
export const KIND_EXPORTERS = Object.fromEntries(KINDS.map((kind) => [kind, entryOf(kind)]));

/** Entries with a name of their own. */
export const NAMED_EXPORTER = {
  type: 'object',
  required: ['kind'],
  properties: { kind: { enum: KINDS } },
  allOf: KINDS.map((kind) => ({
    if: { type: 'object', required: ['kind'], properties: { kind: { const: kind } } },
    // oxlint-disable-next-line unicorn/no-thenable
    then: entryOf(kind),
  })),
};

/** After the schema has passed it; `kind` is absent where the name says it. */
export type DirectEntry = FileEntry | HttpEntry | StdoutEntry | SyslogEntry;

interface CommonEntry {
  readonly format?: string;
  readonly required?: boolean;
  readonly effects?: readonly Effect[];
}

export interface StdoutEntry extends CommonEntry {
  readonly kind?: 'stdout';
}

export interface SyslogEntry extends CommonEntry {
  readonly kind?: 'syslog';
  readonly url: string;
  readonly facility?: Facility;
  readonly timeout?: string;
  readonly certificate?: string;
  readonly client_certificate?: string;
  readonly client_key?: string;
  readonly insecure?: boolean;
}

export interface HttpEntry extends CommonEntry {
  readonly kind?: 'http';
  readonly url: string;
  readonly batch?: Batch;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bearer?: string;
  readonly basic?: { readonly username: string; readonly password: string };
  readonly compression?: 'gzip' | 'none';
  readonly timeout?: string;
  readonly certificate?: string;
  readonly client_certificate?: string;
  readonly client_key?: string;
  readonly signing_secret?: string;
  readonly insecure?: boolean;
}

export interface FileEntry extends CommonEntry {
  readonly kind?: 'file';
  readonly path: string;
  readonly rotate?: {
    readonly max_bytes?: string | number;
    readonly every?: string;
    readonly keep?: number;
    readonly compression?: 'gzip' | 'none';
  };
}
