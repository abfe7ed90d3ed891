/**
 * Every failure that a user, an agent or an operator can be shown: one row each. `text` takes its `{name}`s from
 * the details given. Codes are never renamed; a retired one is never used again.
 *
 * JSON-RPC codes of our own lie outside -32768..-32000, which the protocol reserves (JSON-RPC 2.0, section 5.1;
 * MCP 2026-07-28 keeps -32020..-32099 for itself and asks others to stay out of the whole range).
 */
export interface ErrorRow {
  readonly text: string;
  /** HTTP status of the answer, where the error is answered over HTTP. */
  readonly http?: number;
  /** JSON-RPC error code, where it is answered as a JSON-RPC error. */
  readonly rpc?: number;
  /** Exit code: 1 the thing checked is bad, 2 usage, 3 config or policy invalid, 4 cannot reach what it needs. */
  readonly exit?: 1 | 2 | 3 | 4;
}

export const ERRORS = {
  // What the strict parser refuses.
  parse_utf8: { text: 'The message is not valid UTF-8.', http: 400, rpc: -32700 },
  parse_json: { text: 'The message is not valid JSON: {detail}.', http: 400, rpc: -32700 },
  parse_duplicate_key: {
    text: 'The key {key} stands twice in one object, or differs from another only in case or form.',
    http: 400,
    rpc: -32700,
  },
  parse_depth: { text: 'The message is nested deeper than {max} levels.', http: 400, rpc: -32600 },
  parse_size: { text: 'The message is larger than {max} bytes.', http: 413, rpc: -32600 },
  parse_batch: { text: 'Batches are not accepted: send one message at a time.', http: 400, rpc: -32600 },
  parse_envelope: { text: 'Not a JSON-RPC 2.0 message: {detail}.', http: 400, rpc: -32600 },
  parse_params: {
    text: 'The parameters of {method} are not of the required form: {detail}.',
    http: 400,
    rpc: -32602,
  },
  content_type: {
    text: 'The Content-Type {value} is not accepted: a message is JSON in UTF-8.',
    http: 415,
    rpc: -32600,
  },
  response_unasked: {
    text: 'The response to {id} was dropped: no request with that id waits for one from this caller.',
    http: 202,
    rpc: -32600,
  },
  event_ambiguous: {
    text: 'An event was dropped: its data can be split in two ways, and one of them names a field.',
    http: 502,
    rpc: -31502,
  },
  header_mismatch: { text: 'The header {header} does not agree with the body.', http: 400, rpc: -32020 },

  // What the doors refuse.
  origin_refused: { text: 'The {header} header {value} is not allowed here.', http: 403, rpc: -31403 },
  identity_missing: { text: 'No credentials were sent.', http: 401, rpc: -31401 },
  identity_invalid: { text: 'The credentials were not accepted: {detail}.', http: 401, rpc: -31401 },
  identity_form: {
    text: 'The credentials came in a form that is not accepted: {detail}.',
    http: 400,
    rpc: -31401,
  },
  identity_scope: { text: 'The token does not cover this request: {detail}.', http: 403, rpc: -31403 },
  identity_unavailable: {
    text: 'Whether the credentials hold cannot be checked now: {detail}.',
    http: 503,
    rpc: -31503,
  },
  session_foreign: { text: 'There is no such session of this caller.', http: 404, rpc: -31404 },
  task_foreign: { text: 'Task not found', http: 200, rpc: -32602 },
  server_unknown: { text: 'There is no server named {server} here.', http: 404, rpc: -31404 },
  session_missing: {
    text: 'This needs the Mcp-Session-Id that the answer to initialize gave.',
    http: 400,
    rpc: -31400,
  },
  session_begun: {
    text: 'This session has begun already: initialize begins a new one, without an Mcp-Session-Id.',
    http: 400,
    rpc: -31400,
  },
  version_unsupported: {
    text: 'The MCP-Protocol-Version {version} is not what this session has agreed on.',
    http: 400,
    rpc: -31400,
  },
  events_gone: { text: 'What came after that Last-Event-ID is not kept.', http: 400, rpc: -31400 },
  stream_open: { text: 'This session has its stream open already.', http: 409, rpc: -31409 },
  not_acceptable: {
    text: 'The Accept header allows none of the forms in which this is answered.',
    http: 406,
    rpc: -31406,
  },
  http_malformed: { text: 'The HTTP request cannot be read: {detail}.', http: 400, rpc: -32600 },
  http_oversize: { text: 'The header section is larger than {max} bytes.', http: 431, rpc: -32600 },
  http_slow: { text: 'The HTTP request did not come to its end in time.', http: 408, rpc: -32600 },
  http_expectation: { text: 'The expectation {value} cannot be met.', http: 417, rpc: -32600 },
  http_method: { text: 'Only POST, GET and DELETE are served here.', http: 405, rpc: -32600 },

  // What policy and the method table refuse, where the method has no result to say it in.
  denied: { text: '{detail}', http: 200, rpc: -31403 },
  method_unknown: {
    text: 'Method {method} is not known to this proxy, so it was denied.',
    http: 200,
    rpc: -32601,
  },
  tool_changed: {
    text: 'The server {server} no longer describes its tool {tool} as it did when somebody reviewed it. A person must look at what has changed (mcp-verdict tools check) and pin it (mcp-verdict tools lock).',
  },
  tool_unpinned: {
    text: 'Nobody has reviewed the tool {tool} of the server {server}: it is not in tools.lock.json. A person must look at it (mcp-verdict tools check) and pin it (mcp-verdict tools lock).',
  },
  // The same in style hidden: the codes and words of a server that has no such thing (MCP 2025-11-25 and 2026-07-28,
  // error handling of tools, prompts and resources; where the revisions leave the words open, the TypeScript SDK's).
  hidden_tool: { text: 'Tool {name} not found', http: 200, rpc: -32602 },
  hidden_prompt: { text: 'Prompt {name} not found', http: 200, rpc: -32602 },
  hidden_resource: { text: 'Resource not found: {uri}', http: 200, rpc: -32602 },
  hidden_resource_legacy: { text: 'Resource not found', http: 200, rpc: -32002 },
  hidden_template: { text: 'Resource template {uri} not found', http: 200, rpc: -32602 },
  hidden_method: { text: 'Method not found', http: 200, rpc: -32601 },
  hidden_stream: { text: 'Method not allowed.', http: 405, rpc: -32000 },
  audit_unavailable: {
    text: 'The decision could not be recorded, so the call was not made.',
    http: 200,
    rpc: -31503,
  },
  killed: {
    text: 'The kill switch is thrown for {target}. Nothing is passed on until an operator lifts it{until}; trying again does not help.',
    http: 403,
    rpc: -31403,
  },
  shutdown: { text: 'The proxy is stopping, so the call was not made.', http: 200, rpc: -31503 },
  suppressed: {
    text: '{count} more messages from {source} were refused in a short time; they are recorded as this one.',
    http: 429,
    rpc: -31429,
  },
  share_exceeded: {
    text: 'The records of this caller take up more than their share of a spool that is filling up.',
    http: 429,
    rpc: -31429,
  },
  caller_busy: {
    text: 'Too many messages of this caller are waiting: {max} at most.',
    http: 429,
    rpc: -31503,
  },
  busy: { text: 'Too many messages are waiting: {max} at most.', http: 503, rpc: -31503 },

  // What a server over stdio and its clients cannot have.
  request_cancelled: { text: 'The request was taken back by its client.', http: 200, rpc: -31499 },
  request_of_server: {
    text: 'The request {method} was refused: MCP 2026-07-28 has no requests of servers.',
    rpc: -32601,
  },
  stream_missing: { text: 'The client has opened no stream for the request to go out on.', rpc: -31404 },

  // What goes wrong behind us.
  upstream_unreachable: { text: 'The server {server} cannot be reached: {detail}.', http: 200, rpc: -31502 },
  upstream_redirect: {
    text: 'The server {server} answered with a redirect, which is not followed.',
    http: 200,
    rpc: -31502,
  },
  upstream_broken: { text: 'The server {server} broke off its answer: {detail}.', http: 200, rpc: -31502 },
  upstream_refused: { text: 'The server {server} answered {status}: {detail}.', http: 200, rpc: -31502 },
  upstream_session_ended: {
    text: 'The server {server} has ended the session: connect to it anew, or restart it in the client.',
    http: 200,
    rpc: -31404,
  },
  upstream_tool_invalid: {
    text: 'The tool {tool} cannot be called over HTTP, its definition is not valid: {detail}.',
    http: 200,
    rpc: -32602,
  },

  // What the command line and the files get wrong.
  usage: { text: '{detail}', exit: 2 },
  file_unreadable: { text: '{file} cannot be read: {detail}.', exit: 3 },
  config_invalid: { text: '{detail}', exit: 3 },
  policy_invalid: { text: '{detail}', exit: 3 },
  restart_needed: {
    text: 'What has changed of {parts} takes effect at the next start only, so nothing of the change was taken.',
    exit: 3,
  },
  listen_failed: { text: 'Cannot listen on {address}: {detail}.', exit: 4 },
  spool_unavailable: {
    text: 'The spool cannot be used: {detail}. Name another directory, or set its durability to none.',
    exit: 4,
  },
  command_failed: { text: 'The command {command} cannot be started: {detail}.', exit: 4 },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export type ErrorDetails = Readonly<Record<string, string | number>>;

/** The sentence of an error, with its details filled in. */
export function errorText(code: ErrorCode, details: ErrorDetails = {}): string {
  return ERRORS[code].text.replace(/\{(\w+)\}/g, (whole, name: string) => String(details[name] ?? whole));
}

export function errorRow(code: ErrorCode): ErrorRow {
  return ERRORS[code];
}

/** An error of the table, thrown where the caller cannot go on. */
export class VerdictError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(errorText(code, details), options);
    this.name = 'VerdictError';
    this.code = code;
    this.details = details;
  }
}
