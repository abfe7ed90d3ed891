/** Decisions, outcomes and approvals as API Activity (OCSF 1.8.0, class 6003). */
import { isIP } from 'node:net';
import { SCOPE_NAME } from '../event/vocabulary.ts';
import type { Event } from '../event/vocabulary.ts';
import { intervalOf, policyOf, severityOf } from './ocsf-parts.ts';
import type { Part, Subject } from './ocsf-parts.ts';
import type { RecordOrigin } from './record.ts';
import type { Untold } from './untold.ts';
import { isObserved } from './words.ts';

/** A row of what a control did (profile security_control). */
interface Control {
  readonly action_id: number;
  readonly action: string;
  readonly disposition_id: number;
  readonly disposition: string;
  readonly statusId: 0 | 1 | 2;
  readonly severityId: number;
  readonly is_alert: boolean;
}

const UNKNOWN = { action_id: 0, action: 'Unknown' } as const;
const ALLOWED = { action_id: 1, action: 'Allowed' } as const;
const DENIED = { action_id: 2, action: 'Denied' } as const;
const OBSERVED = { action_id: 3, action: 'Observed' } as const;

// prettier-ignore
const CONTROLS = {
  allowed:  { ...ALLOWED,  disposition_id: 1,  disposition: 'Allowed',   statusId: 1, severityId: 1, is_alert: false },
  denied:   { ...DENIED,   disposition_id: 2,  disposition: 'Blocked',   statusId: 2, severityId: 3, is_alert: true },
  pending:  { ...UNKNOWN,  disposition_id: 23, disposition: 'Challenge', statusId: 0, severityId: 2, is_alert: false },
  approved: { ...ALLOWED,  disposition_id: 8,  disposition: 'Approved',  statusId: 1, severityId: 2, is_alert: false },
  rejected: { ...DENIED,   disposition_id: 25, disposition: 'Rejected',  statusId: 2, severityId: 3, is_alert: true },
  expired:  { ...DENIED,   disposition_id: 2,  disposition: 'Blocked',   statusId: 2, severityId: 3, is_alert: true },
  failed:   { ...DENIED,   disposition_id: 27, disposition: 'Error',     statusId: 2, severityId: 4, is_alert: true },
  observed: { ...OBSERVED, disposition_id: 17, disposition: 'Logged',    statusId: 1, severityId: 1, is_alert: false },
  unknown:  { ...UNKNOWN,  disposition_id: 0,  disposition: 'Unknown',   statusId: 0, severityId: 0, is_alert: false },
} as const satisfies Record<string, Control>;

/** Denials that no policy asked for: something in the proxy failed, and it fails closed. */
const FAILURES: ReadonlySet<unknown> = new Set(['policy_error', 'audit_unavailable']);

function controlOf(event: Event): Control {
  if (isObserved(event)) return CONTROLS.observed;
  const { 'verdict.decision.effect': effect, 'verdict.decision.reason': reason } = event;
  const state = event['verdict.approval.state'];
  if (effect === 'allow') return state === 'approved' ? CONTROLS.approved : CONTROLS.allowed;
  if (effect === 'require_approval') return CONTROLS.pending;
  if (effect !== 'deny') return CONTROLS.unknown;
  if (FAILURES.has(reason)) return CONTROLS.failed;
  if (reason !== 'approval_denied') return CONTROLS.denied;
  return state === 'expired' ? CONTROLS.expired : CONTROLS.rejected;
}

/** What was done with a tool that is not as it is pinned. Somebody should look in either case. */
export function pinControl({ 'verdict.tool.pin': mode }: Event): object {
  const { statusId: _, severityId: __, ...control } = mode === 'strict' ? CONTROLS.denied : CONTROLS.observed;
  return { ...control, is_alert: true };
}

/** What API Activity knows an activity for; all else is "other", by the method's name. */
const ACTIVITIES: ReadonlyMap<string, readonly [id: number, name: string]> = new Map([
  ['resources/read', [2, 'Read']],
  ['prompts/get', [2, 'Read']],
  ['tools/call', [99, 'Tool Call']],
]);

export function decisionActivity({ event, attributes, origin, timeMs }: Subject): Part {
  const { statusId, severityId, ...control } = controlOf(attributes);
  const method = textAt(attributes, 'mcp.method.name');
  const [activityId, activityName] = ACTIVITIES.get(method ?? '') ?? [99, method ?? 'Unknown'];
  const applied = attributes['verdict.decision.enforced'];
  const policy = policyOf(event, typeof applied === 'boolean' ? applied : undefined);
  if (policy !== undefined && typeof applied === 'boolean') event.tell('verdict.decision.enforced');
  const rule = event.text('verdict.rule.id');
  // Before what takes its values: names stand in several places.
  const context = contextOf(event, attributes);
  return {
    classUid: 6003,
    activityId,
    activityName,
    severityId,
    statusId,
    statusCode: event.text('verdict.decision.reason'),
    detail: event.text('verdict.decision.message'),
    interval: intervalOf(timeMs, attributes['verdict.decision.duration_ns']),
    profiles: ['security_control', ...(context === undefined ? [] : ['ai_operation'])],
    fields: {
      ...control,
      authorizations: [{ decision: event.text('verdict.decision.effect'), policy }],
      policy,
      firewall_rule: rule === undefined ? undefined : { uid: rule, name: rule },
      actor: actorOf(event, attributes),
      resources: resourcesOf(event, attributes),
      api: apiOf(event, attributes),
      src_endpoint: sourceOf(event, attributes, origin),
      dst_endpoint: destinationOf(event, attributes),
      http_request: member('user_agent', event.text('user_agent.original')),
      message_context: context,
    },
  };
}

function contextOf(event: Untold, attributes: Event): object | undefined {
  const server = textAt(attributes, 'verdict.server.name');
  // What the client says of itself, unverified: OCSF has it here, and facts in `actor`.
  const name = event.text('verdict.client.claimed.name');
  const version = name === undefined ? undefined : event.text('verdict.client.claimed.version');
  if (server === undefined && name === undefined) return undefined;
  const isTool = textAt(attributes, 'gen_ai.tool.name') !== undefined;
  return {
    ai_role_id: isTool ? 3 : 0,
    ai_role: isTool ? 'Tool' : 'Unknown',
    uid: textAt(attributes, 'mcp.session.id'),
    application: name === undefined ? undefined : { name, version },
    service: member('name', server),
  };
}

function actorOf(event: Untold, attributes: Event): object {
  const [uid, app, appUid] = [
    event.text('user.id'),
    event.text('gen_ai.agent.name'),
    event.text('gen_ai.agent.id'),
  ];
  const groups = uid === undefined ? undefined : event.texts('user.roles')?.map((name) => ({ name }));
  const session = event.text('mcp.session.id');
  const isKnown = (uid ?? app ?? appUid ?? session) !== undefined;
  const nobody = attributes['verdict.identity.source'] === 'none' ? 'anonymous' : 'unknown';
  return {
    user: uid === undefined ? (isKnown ? undefined : { name: nobody }) : { uid, name: uid, groups },
    app_name: app,
    app_uid: appUid,
    session: member('uid', session),
    idp: member('name', event.text('verdict.identity.issuer')),
  };
}

const RESOURCES = [
  ['gen_ai.tool.name', 'mcp.tool'],
  ['gen_ai.prompt.name', 'mcp.prompt'],
  ['mcp.resource.uri', 'mcp.resource'],
] as const;

function resourcesOf(event: Untold, attributes: Event): readonly object[] | undefined {
  const server = textAt(attributes, 'verdict.server.name');
  const resources = RESOURCES.flatMap(([key, type]) => {
    const name = event.text(key);
    if (name === undefined) return [];
    const isTool = type === 'mcp.tool';
    const version = isTool ? event.text('verdict.tool.digest') : undefined;
    const uid = server === undefined || type === 'mcp.resource' ? name : `${server}/${name}`;
    return [{ uid, name, type, version, role_id: 1, role: 'Target' }];
  });
  return resources.length === 0 ? undefined : resources;
}

function apiOf(event: Untold, attributes: Event): object {
  const method = textAt(attributes, 'mcp.method.name');
  const named = textAt(attributes, 'gen_ai.tool.name') ?? textAt(attributes, 'gen_ai.prompt.name');
  if (named === undefined) event.tell('mcp.method.name');
  const id = event.text('jsonrpc.request.id') ?? textAt(attributes, 'log.record.uid') ?? '';
  return {
    operation: named ?? method ?? 'unknown',
    version: event.text('mcp.protocol.version'),
    request: { uid: id, data: event.text('gen_ai.tool.call.arguments') },
    service: member('name', textAt(attributes, 'verdict.server.name')),
  };
}

function sourceOf(event: Untold, attributes: Event, origin: RecordOrigin): object {
  const address = event.text('client.address');
  if (address !== undefined) return isIP(address) === 0 ? { name: address } : { ip: address };
  // At the other end of a pipe is a process of the same host.
  if (attributes['network.transport'] === 'pipe') return proxyEndpoint(origin);
  return { name: 'unknown' };
}

function destinationOf(event: Untold, attributes: Event): object | undefined {
  const [name, address] = [event.text('verdict.server.name'), event.text('server.address')];
  const port = attributes['server.port'];
  if (name === undefined && address === undefined) return undefined;
  const isPort = typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535;
  if (isPort) event.tell('server.port');
  const where = address === undefined ? {} : { [isIP(address) === 0 ? 'hostname' : 'ip']: address };
  return { svc_name: name, ...where, port: isPort ? port : undefined };
}

/** The proxy, which calls the server. */
function proxyEndpoint({ resource }: RecordOrigin): object {
  const { 'service.name': name = SCOPE_NAME, 'host.name': hostname } = resource;
  return { svc_name: String(name), hostname: typeof hostname === 'string' ? hostname : undefined };
}

export function outcomeActivity({ event, attributes, origin, timeMs, severityNumber }: Subject): Part {
  const status = event.text('verdict.outcome.status') ?? 'unknown';
  const [statusId, statusName] = OUTCOME_STATUSES.get(status) ?? [99, status];
  const httpStatus = event.integer('http.response.status_code');
  return {
    classUid: 6003,
    activityId: 99,
    activityName: 'Outcome',
    severityId: severityOf(severityNumber),
    statusId,
    status: statusName,
    statusCode: status,
    interval: intervalOf(timeMs, attributes['verdict.outcome.duration_ns']),
    profiles: [],
    fields: {
      actor: { app_name: String(origin.resource['service.name'] ?? SCOPE_NAME) },
      api: { operation: 'outcome', response: { code: rpcCode(event), error: event.text('error.type') } },
      src_endpoint: proxyEndpoint(origin),
      http_response: member('code', httpStatus),
    },
  };
}

const OUTCOME_STATUSES: ReadonlyMap<string, readonly [id: 0 | 1 | 2 | 99, name: string]> = new Map([
  ['ok', [1, 'Success']],
  ['tool_error', [2, 'Failure']],
  ['rpc_error', [2, 'Failure']],
  ['transport_error', [2, 'Failure']],
  ['unknown', [0, 'Unknown']],
]);

/** JSON-RPC's codes are integers; ours is text, because not every server keeps to that. */
function rpcCode(event: Untold): number | undefined {
  const code = event.peek('rpc.status_code');
  if (typeof code !== 'string' || !/^(?:0|-?[1-9]\d{0,8})$/.test(code)) return undefined;
  event.tell('rpc.status_code');
  return Number(code);
}

export function approvalActivity({ event, origin }: Subject): Part {
  const state = event.text('verdict.approval.state') ?? 'unknown';
  const { statusId, severityId, ...control } = APPROVAL_CONTROLS.get(state) ?? CONTROLS.unknown;
  const approver = event.text('verdict.approval.approver.id');
  const id = event.text('verdict.approval.id');
  return {
    classUid: 6003,
    activityId: 99,
    activityName: 'Approval',
    severityId,
    statusId,
    statusCode: state,
    detail: event.text('verdict.approval.comment'),
    profiles: ['security_control'],
    fields: {
      ...control,
      actor:
        approver === undefined
          ? { app_name: String(origin.resource['service.name'] ?? SCOPE_NAME) }
          : { user: { uid: approver, name: approver } },
      api: { operation: 'approval', request: member('uid', id) },
      src_endpoint: proxyEndpoint(origin),
    },
  };
}

const APPROVAL_CONTROLS = new Map<string, Control>([
  ['pending', CONTROLS.pending],
  ['approved', CONTROLS.approved],
  ['denied', CONTROLS.rejected],
  ['rejected', CONTROLS.rejected],
  ['expired', CONTROLS.expired],
]);

function textAt(event: Event, key: string): string | undefined {
  const value = event[key];
  return typeof value === 'string' ? value : undefined;
}

function member<T>(name: string, value: T | undefined): Readonly<Record<string, T>> | undefined {
  return value === undefined ? undefined : { [name]: value };
}
