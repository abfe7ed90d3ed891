/**
 * The schema of every record, as data: one row a key (DESIGN section 4). The TypeScript types, the JSON Schema,
 * the caps and the README's table all come from these rows.
 *
 * A row marked `bodyOnly` is carried by a LogRecord's own fields or by its resource, and repeated in the body so
 * that a body alone can be read and proven. All other keys are attributes and body members alike.
 */

/** Raised when a key is removed or changes its meaning; a new key does not raise it. */
export const SCHEMA_VERSION = 1;

export const SCHEMA_URL = 'https://mcp-verdict.github.io/schema/1';

export const SCOPE_NAME = 'mcp-verdict';

export const EVENT_NAMES = [
  'verdict.decision',
  'verdict.outcome',
  'verdict.approval',
  'verdict.lifecycle',
  'verdict.checkpoint',
  'verdict.gap',
] as const;

export type EventName = (typeof EVENT_NAMES)[number];

/** OTel severity numbers in use (OTel logs data model, SeverityNumber). */
export const SEVERITY = { allow: 9, require_approval: 10, deny: 13, error: 17, info: 9 } as const;

export const EFFECTS = ['allow', 'deny', 'require_approval'] as const;

export type Effect = (typeof EFFECTS)[number];

/** Why a decision fell as it did. Retired codes are never used again with another meaning. */
export const REASONS = [
  'rule',
  'default',
  'hidden',
  'limit',
  'policy_error',
  'parse',
  'method_unknown',
  'server_unknown',
  'origin_refused',
  'identity_missing',
  'identity_invalid',
  'approval_required',
  'approval_denied',
  'tool_changed',
  'audit_unavailable',
  'shutdown',
  'killed',
] as const;

export type Reason = (typeof REASONS)[number];

export const OUTCOME_STATUSES = [
  'ok',
  'tool_error',
  'rpc_error',
  'transport_error',
  'cancelled',
  'unknown',
] as const;

export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];

export const LIFECYCLE_STATES = [
  'start',
  'stop',
  'reload',
  'reload_failed',
  'stream_opened',
  'streams_adopted',
  'audit_restored',
  'key_rotated',
  'tool_changed',
  'killed',
  'lifted',
  'doctor',
] as const;

export type LifecycleState = (typeof LIFECYCLE_STATES)[number];

export const IDENTITY_SOURCES = ['jwt', 'api_key', 'mtls', 'stdio', 'none'] as const;

export type IdentitySource = (typeof IDENTITY_SOURCES)[number];

/** What a kill switch is thrown for. */
export const KILL_SCOPES = ['all', 'server', 'user', 'agent', 'api_key'] as const;

export type KillScope = (typeof KILL_SCOPES)[number];

/** Bytes of UTF-8 that one string value may hold; over it, it is cut (text.ts). */
export const STRING_BYTES_MAX = 1024;
export const TOOL_NAME_BYTES_MAX = 256;
export const ARGUMENTS_BYTES_MAX = 16_384;
/** Elements that one array value may hold; over it, it is cut. */
export const ARRAY_ITEMS_MAX = 64;

interface KeyRow {
  readonly key: string;
  readonly type: 'string' | 'int' | 'boolean' | 'strings';
  /** The events that carry the key. */
  readonly on: 'all' | readonly EventName[];
  readonly meaning: string;
  readonly bodyOnly?: true;
  readonly required?: true;
  readonly bytesMax?: number;
  readonly values?: readonly (string | number)[];
}

const decision = ['verdict.decision'] as const;
const outcome = ['verdict.outcome'] as const;
const approval = ['verdict.decision', 'verdict.approval'] as const;
const lifecycle = ['verdict.lifecycle'] as const;
const checkpoint = ['verdict.checkpoint'] as const;
const gap = ['verdict.gap'] as const;

// prettier-ignore
export const KEYS = [
  { key: 'event.name', type: 'string', on: 'all', bodyOnly: true, required: true, values: EVENT_NAMES, meaning: 'The kind of record; the LogRecord’s EventName.' },
  { key: 'severity.number', type: 'int', on: 'all', bodyOnly: true, required: true, meaning: 'OTel severity: 9 allow, 10 approval needed, 13 deny, 17 a failure inside mcp-verdict.' },
  { key: 'trace_id', type: 'string', on: 'all', bodyOnly: true, meaning: 'W3C trace id, 32 hex digits: the client’s where it sent one.' },
  { key: 'span_id', type: 'string', on: 'all', bodyOnly: true, meaning: 'Span id of our SERVER span, 16 hex digits.' },
  { key: 'service.name', type: 'string', on: 'all', bodyOnly: true, required: true, meaning: 'As in the resource.' },
  { key: 'service.instance.id', type: 'string', on: 'all', bodyOnly: true, required: true, meaning: 'As in the resource.' },
  { key: 'verdict.schema.version', type: 'int', on: 'all', bodyOnly: true, required: true, meaning: 'Version of this table.' },

  { key: 'log.record.uid', type: 'string', on: 'all', required: true, meaning: 'UUIDv7, made once: duplicates are dropped by it.' },
  { key: 'verdict.time', type: 'string', on: 'all', required: true, meaning: 'RFC 3339 with nanoseconds, UTC, strictly increasing per stream; also the record’s timestamp.' },
  { key: 'verdict.stream.id', type: 'string', on: 'all', required: true, meaning: 'UUID of the chain that the record belongs to.' },
  { key: 'verdict.stream.sequence', type: 'int', on: 'all', required: true, meaning: 'Position in the chain, from 1, with no holes.' },
  { key: 'verdict.stream.previous_hash', type: 'string', on: 'all', required: true, meaning: 'SHA-256 (hex) of the previous record’s body; zeros for the first of a first stream.' },

  { key: 'verdict.decision.effect', type: 'string', on: decision, required: true, values: EFFECTS, meaning: 'What policy says.' },
  { key: 'verdict.decision.enforced', type: 'boolean', on: decision, required: true, meaning: 'Whether what policy says was applied.' },
  { key: 'verdict.decision.reason', type: 'string', on: decision, required: true, values: REASONS, meaning: 'Why, as a code.' },
  { key: 'verdict.decision.message', type: 'string', on: decision, meaning: 'Why, as a sentence.' },
  { key: 'verdict.decision.duration_ns', type: 'int', on: decision, meaning: 'Time from parsed message to verdict, nanoseconds.' },
  { key: 'verdict.decision.uid', type: 'string', on: ['verdict.outcome', 'verdict.approval'], required: true, meaning: 'log.record.uid of the decision that this record belongs to.' },

  { key: 'verdict.policy.name', type: 'string', on: ['verdict.decision', 'verdict.lifecycle'], meaning: 'metadata.name of the deciding rule’s file.' },
  { key: 'verdict.policy.file', type: 'string', on: ['verdict.decision', 'verdict.lifecycle'], meaning: 'Path of the deciding rule’s file, as configured.' },
  { key: 'verdict.policy.version', type: 'string', on: ['verdict.decision', 'verdict.lifecycle'], meaning: 'metadata.version of that file.' },
  { key: 'verdict.policy.digest', type: 'string', on: ['verdict.decision', 'verdict.lifecycle'], meaning: 'sha256:HEX of all policy in force, in canonical form.' },
  { key: 'verdict.rule.id', type: 'string', on: decision, meaning: 'The rule that decided.' },
  { key: 'verdict.shadow.rule.id', type: 'string', on: decision, meaning: 'The shadow rule that would have decided.' },
  { key: 'verdict.shadow.effect', type: 'string', on: decision, values: EFFECTS, meaning: 'What it would have said.' },

  { key: 'mcp.method.name', type: 'string', on: decision, meaning: 'JSON-RPC method.' },
  { key: 'mcp.protocol.version', type: 'string', on: decision, meaning: 'MCP revision of the exchange, where it is known.' },
  { key: 'mcp.session.id', type: 'string', on: decision, meaning: 'Keyed digest of the session id, which is a credential in many servers.' },
  { key: 'jsonrpc.request.id', type: 'string', on: decision, meaning: 'The request’s id, as text.' },
  { key: 'gen_ai.operation.name', type: 'string', on: decision, meaning: 'execute_tool, on tools/call.' },
  { key: 'gen_ai.tool.name', type: 'string', on: ['verdict.decision', 'verdict.lifecycle'], bytesMax: TOOL_NAME_BYTES_MAX, meaning: 'The tool, as the upstream names it.' },
  { key: 'gen_ai.prompt.name', type: 'string', on: decision, bytesMax: TOOL_NAME_BYTES_MAX, meaning: 'The prompt.' },
  { key: 'mcp.resource.uri', type: 'string', on: decision, meaning: 'The resource, without userinfo, query and fragment.' },

  { key: 'verdict.server.name', type: 'string', on: ['verdict.decision', 'verdict.lifecycle'], meaning: 'The upstream’s key in our configuration.' },
  { key: 'server.address', type: 'string', on: decision, meaning: 'The upstream’s host.' },
  { key: 'server.port', type: 'int', on: decision, meaning: 'The upstream’s port.' },
  { key: 'network.transport', type: 'string', on: decision, values: ['tcp', 'pipe'], meaning: 'tcp for HTTP, pipe for stdio.' },
  { key: 'client.address', type: 'string', on: decision, meaning: 'The peer’s address.' },
  { key: 'verdict.tool.digest', type: 'string', on: ['verdict.decision', 'verdict.lifecycle'], meaning: 'sha256:HEX of the tool’s definition as last listed by the server.' },
  { key: 'verdict.tool.pinned_digest', type: 'string', on: lifecycle, meaning: 'The same of the definition that tools.lock.json has; absent: it has no such tool.' },
  { key: 'verdict.tool.difference', type: 'strings', on: lifecycle, meaning: 'How the definition differs from the pinned one: POINTER: OLD -> NEW.' },
  { key: 'verdict.tool.pin', type: 'string', on: lifecycle, values: ['strict', 'warn'], meaning: 'strict: the tool is out of lists and its calls are denied; warn: it goes on.' },
  { key: 'verdict.tool.suppressed', type: 'int', on: lifecycle, meaning: 'Changes of this server’s tools before, too many to be recorded one by one.' },

  { key: 'user.id', type: 'string', on: decision, meaning: 'Verified user.' },
  { key: 'user.roles', type: 'strings', on: decision, meaning: 'Verified roles.' },
  { key: 'gen_ai.agent.id', type: 'string', on: decision, meaning: 'Verified agent id.' },
  { key: 'gen_ai.agent.name', type: 'string', on: decision, meaning: 'Verified agent name.' },
  { key: 'verdict.identity.source', type: 'string', on: decision, values: IDENTITY_SOURCES, meaning: 'How the identity was proven.' },
  { key: 'verdict.identity.issuer', type: 'string', on: decision, meaning: 'Who vouches for it: the token’s issuer, the keys file, the host.' },
  { key: 'verdict.identity.delegation', type: 'strings', on: decision, meaning: 'On whose behalf, outermost first.' },
  { key: 'verdict.client.claimed.name', type: 'string', on: decision, meaning: 'What the client calls itself. Unverified.' },
  { key: 'verdict.client.claimed.version', type: 'string', on: decision, meaning: 'Unverified.' },
  { key: 'user_agent.original', type: 'string', on: decision, meaning: 'The User-Agent header. Unverified.' },

  { key: 'verdict.arguments.keys', type: 'strings', on: decision, meaning: 'Names of the top-level arguments.' },
  { key: 'verdict.arguments.size', type: 'int', on: decision, meaning: 'Bytes of the arguments as they were sent.' },
  { key: 'verdict.arguments.hmac', type: 'string', on: decision, meaning: 'hmac-sha256:KEYID:HEX of the canonical arguments.' },
  { key: 'verdict.arguments.redacted', type: 'strings', on: decision, meaning: 'JSON pointers of what was hidden or cut.' },
  { key: 'gen_ai.tool.call.arguments', type: 'string', on: decision, bytesMax: ARGUMENTS_BYTES_MAX, meaning: 'The redacted arguments, as JSON.' },

  { key: 'verdict.approval.id', type: 'string', on: approval, meaning: 'The approval.' },
  { key: 'verdict.approval.state', type: 'string', on: approval, meaning: 'Its state after this record.' },
  { key: 'verdict.approval.approver.id', type: 'string', on: approval, meaning: 'Who approved or refused.' },
  { key: 'verdict.approval.channel', type: 'string', on: approval, meaning: 'By which channel.' },
  { key: 'verdict.approval.comment', type: 'string', on: approval, meaning: 'What the approver wrote.' },

  { key: 'verdict.outcome.status', type: 'string', on: outcome, required: true, values: OUTCOME_STATUSES, meaning: 'What became of the call.' },
  { key: 'verdict.outcome.duration_ns', type: 'int', on: outcome, meaning: 'Time from forwarding to the end of the answer, nanoseconds.' },
  { key: 'verdict.outcome.size', type: 'int', on: outcome, meaning: 'Bytes of the answer.' },
  { key: 'error.type', type: 'string', on: outcome, meaning: 'tool_error, the JSON-RPC code, or the transport’s error code.' },
  { key: 'rpc.status_code', type: 'string', on: outcome, meaning: 'The JSON-RPC error code.' },
  { key: 'http.response.status_code', type: 'int', on: outcome, meaning: 'The upstream’s HTTP status.' },

  { key: 'verdict.lifecycle.state', type: 'string', on: lifecycle, required: true, values: LIFECYCLE_STATES, meaning: 'What happened.' },
  { key: 'verdict.lifecycle.message', type: 'string', on: lifecycle, meaning: 'A sentence: why a reload failed, which policy is in force after one, what the kill switch stops.' },
  { key: 'verdict.kill.scope', type: 'string', on: lifecycle, values: KILL_SCOPES, meaning: 'What the kill switch was thrown for, or lifted for.' },
  { key: 'verdict.kill.id', type: 'string', on: lifecycle, meaning: 'Which server, user, agent or API key.' },
  { key: 'verdict.kill.issuer', type: 'string', on: lifecycle, meaning: 'Of a user: whose users only.' },
  { key: 'verdict.kill.reason', type: 'string', on: lifecycle, meaning: 'What whoever threw it wrote.' },
  { key: 'verdict.kill.until', type: 'string', on: lifecycle, meaning: 'When it ends by itself.' },
  { key: 'verdict.kill.by', type: 'string', on: lifecycle, meaning: 'Who threw it, as the file says.' },
  { key: 'verdict.lifecycle.changed', type: 'strings', on: lifecycle, meaning: 'What a reload has changed, by its name in verdict.yaml.' },
  { key: 'verdict.lifecycle.durability', type: 'string', on: lifecycle, values: ['sync', 'os', 'none'], meaning: 'What recorded means in this process.' },
  { key: 'verdict.lifecycle.public_key', type: 'string', on: lifecycle, meaning: 'Public key that signs the checkpoints.' },
  { key: 'verdict.lifecycle.adopted', type: 'strings', on: lifecycle, meaning: 'Streams taken over from processes that ended: STREAM SEQUENCE HASH of the last record of each.' },
  { key: 'verdict.lifecycle.refused', type: 'int', on: lifecycle, meaning: 'Calls refused because they could not be recorded.' },
  { key: 'verdict.lifecycle.lost', type: 'int', on: lifecycle, meaning: 'Records that nobody waited for and that could not be recorded.' },

  { key: 'verdict.checkpoint.stream', type: 'string', on: checkpoint, required: true, meaning: 'The stream that is signed.' },
  { key: 'verdict.checkpoint.sequence', type: 'int', on: checkpoint, required: true, meaning: 'Up to which record.' },
  { key: 'verdict.checkpoint.hash', type: 'string', on: checkpoint, required: true, meaning: 'SHA-256 (hex) of that record’s body.' },
  { key: 'verdict.checkpoint.signature', type: 'string', on: checkpoint, required: true, meaning: 'Ed25519 signature, base64.' },
  { key: 'verdict.checkpoint.key_id', type: 'string', on: checkpoint, required: true, meaning: 'The key that signed.' },

  { key: 'verdict.gap.stream', type: 'string', on: gap, required: true, meaning: 'The stream with the hole.' },
  { key: 'verdict.gap.from', type: 'int', on: gap, meaning: 'First missing sequence.' },
  { key: 'verdict.gap.to', type: 'int', on: gap, meaning: 'Last missing sequence.' },
  { key: 'verdict.gap.count', type: 'int', on: gap, meaning: 'How many are missing.' },
  { key: 'verdict.gap.reason', type: 'string', on: gap, required: true, values: ['damaged', 'dead_letter', 'retention'], meaning: 'Why.' },
  { key: 'verdict.gap.exporter', type: 'string', on: gap, meaning: 'For which exporter; absent: for all.' },
  { key: 'verdict.gap.last_hash', type: 'string', on: gap, meaning: 'SHA-256 (hex) of the last missing body, where it is known.' },
] as const satisfies readonly KeyRow[];

type Row = (typeof KEYS)[number];

type Value<R extends Row> = R extends { values: readonly (infer V)[] }
  ? V
  : { string: string; int: number; boolean: boolean; strings: readonly string[] }[R['type']];

/** All keys with their types; an event has some of them. */
export type Fields = { readonly [R in Row as R['key']]?: Value<R> | undefined };

export type EventKey = Row['key'];

/** What an event holds: scalars and arrays of strings, nothing else. */
export type Scalar = string | number | boolean | readonly string[];

/** Any record of the table above, as a flat map. Own keys only. */
export type Event = Readonly<Record<string, Scalar>>;
