/**
 * The closed table of methods (MCP 2024-11-05 to 2026-07-28): what each is, and how it is treated. What is not
 * here is denied and recorded; a new revision of MCP adds rows, and nothing passes before it has one.
 */
export interface MethodRow {
  readonly method: string;
  /** transport: no JSON-RPC method but an HTTP verb (transport.ts); nobody can send it as a message. */
  readonly kind: 'request' | 'notification' | 'transport';
  /** Who sends it. */
  readonly from: 'client' | 'server';
  /** legacy: up to 2025-11-25; modern: 2026-07-28. */
  readonly era: 'legacy' | 'modern' | 'both';
  /** protocol: forwarded unless a rule names it; governed: denied unless policy allows it. */
  readonly class: 'protocol' | 'governed';
  /** Whether forwarding waits for the record, does not wait, or there is no record. */
  readonly record: 'wait' | 'async' | 'none';
  /** How a refusal is told: as a tool result with isError, or as a JSON-RPC error. */
  readonly resultChannel: 'tool_result' | 'error';
}

type Treatment = Pick<MethodRow, 'class' | 'record' | 'resultChannel'>;

const GOVERNED: Treatment = { class: 'governed', record: 'wait', resultChannel: 'error' };
const TOOL: Treatment = { class: 'governed', record: 'wait', resultChannel: 'tool_result' };
const PROTOCOL: Treatment = { class: 'protocol', record: 'async', resultChannel: 'error' };
/** So frequent and so empty that their records would only hide others. */
const UNRECORDED: Treatment = { class: 'protocol', record: 'none', resultChannel: 'error' };

type Sent = readonly [
  from: MethodRow['from'],
  kind: MethodRow['kind'],
  era: MethodRow['era'],
  treatment: Treatment,
  methods: readonly string[],
];

const LIST_CHANGED = [
  'notifications/tools/list_changed',
  'notifications/prompts/list_changed',
  'notifications/resources/list_changed',
] as const;

/**
 * The doubtful rows:
 * - tasks/*: tasks/get and tasks/result deliver what a tools/call produced, tasks/list names the calls of others,
 *   tasks/update feeds a running call, so all are governed, tasks/list too although it ends in /list.
 * - roots/list ends in /list as well, but it is the server that asks, for the client's directories: governed, as
 *   is every request of a server but ping.
 * - subscriptions/listen opens the way for resources/updated, as resources/subscribe does: governed.
 * - completion/complete returns names and values of the server's data: governed.
 * - resources/unsubscribe only gives up, but names a resource: governed, so that it follows resources/subscribe.
 * - logging/setLevel is named unrecorded by the design, notifications/message is its other half.
 * - notifications/tasks and notifications/tasks/status carry a status that was asked for by a governed request
 *   (2025-11-25 lets either side send the latter): protocol.
 * - cancelled and progress: a cancel stops what was decided already. 2026-07-28 keeps the client's cancel on stdio.
 */
const SENT: readonly Sent[] = [
  ['client', 'request', 'legacy', PROTOCOL, ['initialize']],
  ['client', 'request', 'modern', PROTOCOL, ['server/discover']],
  [
    'client',
    'request',
    'both',
    PROTOCOL,
    ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'],
  ],
  ['client', 'request', 'legacy', UNRECORDED, ['ping', 'logging/setLevel']],
  ['client', 'request', 'both', TOOL, ['tools/call']],
  ['client', 'request', 'both', GOVERNED, ['prompts/get', 'resources/read', 'completion/complete']],
  ['client', 'request', 'legacy', GOVERNED, ['resources/subscribe', 'resources/unsubscribe']],
  ['client', 'request', 'modern', GOVERNED, ['subscriptions/listen', 'tasks/update']],
  ['client', 'request', 'both', GOVERNED, ['tasks/get', 'tasks/cancel']],
  ['client', 'request', 'legacy', GOVERNED, ['tasks/list', 'tasks/result']],
  ['client', 'transport', 'legacy', PROTOCOL, ['transport/stream', 'transport/delete']],
  ['client', 'notification', 'both', UNRECORDED, ['notifications/cancelled']],
  ['client', 'notification', 'legacy', UNRECORDED, ['notifications/progress']],
  [
    'client',
    'notification',
    'legacy',
    PROTOCOL,
    ['notifications/initialized', 'notifications/roots/list_changed', 'notifications/tasks/status'],
  ],
  ['server', 'request', 'legacy', UNRECORDED, ['ping']],
  ['server', 'request', 'legacy', GOVERNED, ['sampling/createMessage', 'elicitation/create', 'roots/list']],
  ['server', 'request', 'legacy', GOVERNED, ['tasks/get', 'tasks/result', 'tasks/list', 'tasks/cancel']],
  [
    'server',
    'notification',
    'both',
    UNRECORDED,
    ['notifications/progress', 'notifications/message', 'notifications/cancelled'],
  ],
  ['server', 'notification', 'both', PROTOCOL, [...LIST_CHANGED, 'notifications/resources/updated']],
  [
    'server',
    'notification',
    'legacy',
    PROTOCOL,
    ['notifications/elicitation/complete', 'notifications/tasks/status'],
  ],
  [
    'server',
    'notification',
    'modern',
    PROTOCOL,
    ['notifications/tasks', 'notifications/subscriptions/acknowledged'],
  ],
];

/** Every method that is known, one row a sender and kind. */
export const METHODS: readonly MethodRow[] = SENT.flatMap(([from, kind, era, treatment, methods]) =>
  methods.map((method): MethodRow => ({ method, kind, from, era, ...treatment })),
);

const ROWS: ReadonlyMap<string, MethodRow> = new Map(
  METHODS.map((row) => [rowKey(row.method, row.kind, row.from), row]),
);

const REMOVED: ReadonlySet<string> = new Set(
  METHODS.filter(({ kind, from, era }) => kind === 'request' && from === 'client' && era === 'legacy').map(
    ({ method }) => method,
  ),
);

/** Whether 2026-07-28 has no longer this request of a client's: with that revision's envelope it is unknown. */
export function isRemoved(method: string): boolean {
  return REMOVED.has(method);
}

/**
 * The row of a method as it was sent. undefined means unknown: denied and recorded. A known request sent as a
 * notification, or from the wrong side, is unknown too.
 * @param direction as in gate.ts
 */
export function lookupMethod(
  method: string,
  kind: MethodRow['kind'],
  direction: 'to_upstream' | 'to_client',
): MethodRow | undefined {
  return ROWS.get(rowKey(method, kind, direction === 'to_upstream' ? 'client' : 'server'));
}

function rowKey(method: string, kind: MethodRow['kind'], from: MethodRow['from']): string {
  return `${from} ${kind} ${method}`;
}
