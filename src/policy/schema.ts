/** The form of a policy file, as JSON Schema 2020-12 and as a type. Unknown keys are refused everywhere. */
import { ARGUMENT_LEVELS, type ArgumentLevel } from '../event/redact.ts';
import { DENIAL_STYLES, type DenialStyle } from './verdict.ts';
import { EFFECTS, type Effect } from '../event/vocabulary.ts';

const NAME = {
  type: 'string',
  pattern: '^[A-Za-z][A-Za-z0-9._-]{0,63}$',
  description: 'a letter, then at most 63 letters, digits, dots, dashes or underscores',
} as const;

const WORDS = { type: 'string', minLength: 1, maxLength: 256 } as const;

const NAMES = { type: 'array', minItems: 1, uniqueItems: true, items: WORDS } as const;

export const POLICY_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'metadata', 'rules'],
  properties: {
    apiVersion: { const: 'mcp-verdict/v1' },
    kind: { const: 'Policy' },
    metadata: {
      type: 'object',
      additionalProperties: false,
      required: ['name'],
      properties: { name: NAME, version: WORDS, owner: WORDS },
    },
    identities: {
      type: 'object',
      propertyNames: NAME,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['any'],
        properties: {
          any: {
            type: 'array',
            minItems: 1,
            items: {
              type: 'object',
              additionalProperties: false,
              minProperties: 1,
              maxProperties: 1,
              description: 'exactly one of api_key, agent, user, role',
              properties: { api_key: WORDS, agent: WORDS, user: WORDS, role: WORDS },
            },
          },
        },
      },
    },
    rules: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['id', 'effect'],
        properties: {
          id: NAME,
          effect: { enum: EFFECTS },
          identities: NAMES,
          tools: NAMES,
          methods: NAMES,
          servers: NAMES,
          when: { type: 'string' },
          reason: { type: 'string', minLength: 1, maxLength: 512 },
          arguments: { enum: ARGUMENT_LEVELS },
          style: { enum: DENIAL_STYLES },
        },
      },
    },
  },
} as const;

/** A policy file after the schema has passed it. */
export interface PolicyFile {
  readonly metadata: { readonly name: string; readonly version?: string; readonly owner?: string };
  readonly identities?: Readonly<Record<string, { readonly any: readonly PrincipalEntry[] }>>;
  readonly rules: readonly RuleEntry[];
}

/** Exactly one of the keys. */
export interface PrincipalEntry {
  readonly api_key?: string;
  readonly agent?: string;
  readonly user?: string;
  readonly role?: string;
}

export interface RuleEntry {
  readonly id: string;
  readonly effect: Effect;
  readonly identities?: readonly string[];
  readonly tools?: readonly string[];
  readonly methods?: readonly string[];
  readonly servers?: readonly string[];
  readonly when?: string;
  readonly reason?: string;
  readonly arguments?: ArgumentLevel;
  readonly style?: DenialStyle;
}
