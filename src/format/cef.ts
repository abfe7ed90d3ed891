/**
 * Format `cef`: a line of ArcSight's Common Event Format, CEF:0. A key of the event goes into the CEF key that SIEMs
 * know it by; what has none goes as JSON into `mcpVerdictFields`, a custom extension. Limits are those of the CEF
 * dictionary; the keys of values that were cut are named in `mcpVerdictCut`, and `recordHash` leads to the whole.
 */
import { isIP } from 'node:net';
import { bodyHash } from '../event/stamp.ts';
import { EVENT_NAMES, SCOPE_NAME } from '../event/vocabulary.ts';
import type { Event, Scalar } from '../event/vocabulary.ts';
import { CefExtension, headerText } from './cef-text.ts';
import type { Format, FormattedRecord, RecordOrigin } from './record.ts';
import { Untold } from './untold.ts';
import { inWords, isObserved } from './words.ts';

export const cefFormat: Format = {
  name: 'cef',
  contentType: 'text/plain; charset=utf-8',
  fileExtension: 'cef',
  carriesBody: false,
  encode,
};

/** Bytes of UTF-8 that a value may hold, by the CEF dictionary. */
const TEXT = 1023;
const CUSTOM = 4000;
const LABEL = 128;
const LIMIT = {
  version: 31,
  classId: 1023,
  name: 512,
  short: 63,
  host: 100,
  instance: 255,
  id: 40,
  payload: 128,
};
/** Of what has no key in the dictionary: as much as a custom string takes. */
const FIELDS_BYTES_MAX = CUSTOM;
/** CEF's Integer. */
const INTEGER_MAX = 2 ** 31 - 1;

function encode({ body, content, origin }: FormattedRecord): string {
  const { eventName, attributes, severityNumber, timestamp, traceId, spanId } = content;
  const event = new Untold(attributes);
  const extension = new CefExtension();
  // First what can be missed: rsyslog's parser drops the first letter of the first key (liblognorm issue 363, to 2.0.6).
  extension.add('cat', category(eventName, attributes), TEXT);
  extension.integer('rt', timestamp[0] * 1000 + Math.floor(timestamp[1] / 1e6));
  if (eventName === 'verdict.decision') addDecision(attributes, event, extension);
  else if (eventName === 'verdict.outcome') addOutcome(event, extension);
  else if (eventName === 'verdict.approval') addApproval(event, extension);
  else if (eventName === 'verdict.lifecycle') addLifecycle(event, extension);
  for (const slot of SLOTS.get(eventName) ?? []) addSlot(slot, event, extension);
  for (const slot of SLOTS_OF_ALL) addSlot(slot, event, extension);
  addText(extension, 'flexString1', bodyHash(body), 'recordHash');
  if (traceId !== undefined) addText(extension, 'cs6', `${traceId}-${spanId ?? ''}`, 'trace');
  for (const [key, slot] of ORIGIN_SLOTS) {
    const value = origin.resource[key];
    if (typeof value === 'string')
      extension.add(slot, value, slot === 'dvchost' ? LIMIT.host : LIMIT.instance);
  }
  extension.members('mcpVerdictFields', restOf(event, eventName), FIELDS_BYTES_MAX);
  const classId = headerText(classOf(eventName, attributes), LIMIT.classId);
  const name = headerText(inWords(eventName, attributes), LIMIT.name);
  const pairs = extension.end('mcpVerdictCut', 'mcpVerdictQuoted');
  return `${headOf(origin)}|${classId}|${name}|${severity(severityNumber)}|${pairs}`;
}

/** All records of a stream have the same head. */
const heads = new WeakMap<RecordOrigin, string>();

function headOf(origin: RecordOrigin): string {
  let head = heads.get(origin);
  if (head === undefined) {
    const { version = '' } = origin.scope;
    const text = headerText(version === '' ? 'unknown' : version, LIMIT.version);
    head = `CEF:0|${SCOPE_NAME}|${SCOPE_NAME}|${text}`;
    heads.set(origin, head);
  }
  return head;
}

const ORIGIN_SLOTS = [
  ['host.name', 'dvchost'],
  ['service.name', 'deviceProcessName'],
  ['service.instance.id', 'deviceExternalId'],
] as const;

/** A key of the event and the key of the dictionary that says the same, whole. */
interface Slot {
  readonly key: string;
  readonly to: string;
  readonly bytesMax?: number;
  readonly label?: string;
  readonly integerMax?: number;
}

const LONG = Number.MAX_SAFE_INTEGER;

const SLOTS_OF_ALL: readonly Slot[] = [
  { key: 'log.record.uid', to: 'externalId', bytesMax: LIMIT.id },
  { key: 'verdict.stream.sequence', to: 'cn1', label: 'seq', integerMax: LONG },
  { key: 'verdict.stream.id', to: 'mcpVerdictStream' },
  { key: 'verdict.stream.previous_hash', to: 'flexString2', label: 'previousHash' },
];

const POLICY_SLOTS: readonly Slot[] = [
  { key: 'verdict.policy.file', to: 'cs1', bytesMax: CUSTOM, label: 'policyFile' },
  { key: 'verdict.policy.digest', to: 'cs2', bytesMax: CUSTOM, label: 'policyHash' },
];

const SLOTS: ReadonlyMap<string, readonly Slot[]> = new Map(
  Object.entries({
    'verdict.decision': [
      { key: 'verdict.decision.reason', to: 'reason' },
      { key: 'verdict.decision.message', to: 'msg' },
      { key: 'verdict.decision.duration_ns', to: 'cn2', label: 'durationNs', integerMax: LONG },
      ...POLICY_SLOTS,
      { key: 'verdict.rule.id', to: 'cs3', bytesMax: CUSTOM, label: 'rule' },
      { key: 'gen_ai.tool.call.arguments', to: 'cs4', bytesMax: CUSTOM, label: 'arguments' },
      { key: 'mcp.session.id', to: 'cs5', bytesMax: CUSTOM, label: 'sessionId' },
      { key: 'mcp.method.name', to: 'requestMethod' },
      { key: 'gen_ai.agent.name', to: 'sourceServiceName' },
      { key: 'verdict.client.claimed.name', to: 'sproc' },
      { key: 'user_agent.original', to: 'requestClientApplication' },
      { key: 'verdict.server.name', to: 'destinationServiceName' },
      { key: 'server.port', to: 'dpt', integerMax: 65_535 },
    ],
    'verdict.outcome': [
      { key: 'error.type', to: 'reason' },
      { key: 'verdict.outcome.duration_ns', to: 'cn2', label: 'durationNs', integerMax: LONG },
      { key: 'verdict.outcome.size', to: 'out', integerMax: INTEGER_MAX },
      { key: 'http.response.status_code', to: 'cn3', label: 'httpStatus', integerMax: LONG },
    ],
    'verdict.approval': [{ key: 'verdict.approval.comment', to: 'msg' }],
    'verdict.lifecycle': [
      { key: 'verdict.lifecycle.state', to: 'act', bytesMax: LIMIT.short },
      { key: 'verdict.lifecycle.message', to: 'msg' },
      ...POLICY_SLOTS,
      { key: 'verdict.server.name', to: 'destinationServiceName' },
    ],
    'verdict.gap': [{ key: 'verdict.gap.reason', to: 'reason' }],
  }),
);

/** What a slot does not take, because it is empty or too large for its type, stays for `mcpVerdictFields`. */
function addSlot(
  { key, to, bytesMax = TEXT, label, integerMax }: Slot,
  event: Untold,
  extension: CefExtension,
): void {
  const value = event.peek(key);
  if (integerMax !== undefined) {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > integerMax) return;
    extension.integer(to, value);
  } else {
    if (typeof value !== 'string' || value === '') return;
    extension.add(to, value, bytesMax);
    if (to === 'externalId') extension.add('devicePayloadId', value, LIMIT.payload);
  }
  event.tell(key);
  extension.add(`${to}Label`, label, LABEL);
}

function addText(extension: CefExtension, to: string, value: string, label: string): void {
  extension.add(to, value, TEXT);
  extension.add(`${to}Label`, label, LABEL);
}

const OUTCOME_OF_EFFECT: ReadonlyMap<string, string> = new Map(
  Object.entries({ allow: 'success', deny: 'failure' }),
);

function addDecision(attributes: Event, event: Untold, extension: CefExtension): void {
  const observed = isObserved(attributes);
  // What was only observed did something else than policy says, and that is left to be told.
  const effect = observed ? undefined : event.text('verdict.decision.effect');
  if (typeof event.peek('verdict.decision.enforced') === 'boolean') event.tell('verdict.decision.enforced');
  extension.add('act', observed ? 'observe' : effect, LIMIT.short);
  extension.add(
    'outcome',
    observed ? 'success' : (OUTCOME_OF_EFFECT.get(effect ?? '') ?? 'unknown'),
    LIMIT.short,
  );
  extension.add('mcpVerdictDecision', textOf(event.peek('log.record.uid')), TEXT);
  extension.add('app', 'MCP', LIMIT.version);
  extension.add('request', requestUrl(event), TEXT);
  const user = event.text('user.id');
  extension.add('suid', user, TEXT);
  extension.add('suser', user, TEXT);
  addAddress(event, extension, { key: 'client.address', v4: 'src', v6: 'c6a2', side: 'Source' });
  addAddress(event, extension, { key: 'server.address', v4: 'dst', v6: 'c6a3', side: 'Destination' });
}

/** A resource has a URI of its own; a tool or prompt gets one, and its name is told apart from that. */
function requestUrl(event: Untold): string | undefined {
  const uri = event.text('mcp.resource.uri');
  if (uri !== undefined) return uri;
  const server = textOf(event.peek('verdict.server.name'));
  const name = textOf(event.peek('gen_ai.tool.name')) ?? textOf(event.peek('gen_ai.prompt.name'));
  if (server === undefined || name === undefined) return undefined;
  return `mcp://${inUrl(server)}/${inUrl(name)}`;
}

/** No more than fits: encoded it is no shorter, so what is too long is still seen to be. */
function inUrl(text: string): string {
  return encodeURIComponent(text.slice(0, TEXT + 1).toWellFormed());
}

interface AddressSlots {
  readonly key: string;
  readonly v4: string;
  readonly v6: string;
  readonly side: 'Source' | 'Destination';
}

/** CEF:0 has IPv4 in `src` and `dst`, and IPv6 in custom fields with labels that it prescribes. */
function addAddress(event: Untold, extension: CefExtension, { key, v4, v6, side }: AddressSlots): void {
  const address = textOf(event.peek(key));
  const version = address === undefined ? 0 : isIP(address);
  if (version === 0 && (side === 'Source' || address === undefined || address === '')) return;
  event.tell(key);
  if (version === 0) extension.add('dhost', address, TEXT);
  else extension.add(version === 4 ? v4 : v6, address, TEXT);
  if (version === 6) extension.add(`${v6}Label`, `${side} IPv6 Address`, LABEL);
}

const OUTCOME_OF_STATUS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ok: 'success',
    tool_error: 'failure',
    rpc_error: 'failure',
    transport_error: 'failure',
  }),
);

function addOutcome(event: Untold, extension: CefExtension): void {
  const status = event.text('verdict.outcome.status');
  extension.add('act', status, LIMIT.short);
  extension.add('outcome', OUTCOME_OF_STATUS.get(status ?? '') ?? 'unknown', LIMIT.short);
  extension.add('mcpVerdictDecision', event.text('verdict.decision.uid'), TEXT);
}

const OUTCOME_OF_STATE: ReadonlyMap<string, string> = new Map(
  Object.entries({
    approved: 'success',
    denied: 'failure',
    rejected: 'failure',
    expired: 'failure',
  }),
);

function addApproval(event: Untold, extension: CefExtension): void {
  const state = event.text('verdict.approval.state');
  extension.add('act', state, LIMIT.short);
  extension.add('outcome', OUTCOME_OF_STATE.get(state ?? '') ?? 'unknown', LIMIT.short);
  extension.add('mcpVerdictDecision', event.text('verdict.decision.uid'), TEXT);
  const approver = event.text('verdict.approval.approver.id');
  extension.add('suid', approver, TEXT);
  extension.add('suser', approver, TEXT);
}

/** A tool that is not as it is pinned; how, is said as a list in `mcpVerdictFields` too. */
function addLifecycle(event: Untold, extension: CefExtension): void {
  extension.add('request', requestUrl(event), TEXT);
  const difference = event.peek('verdict.tool.difference');
  // A message of the record's own has the place.
  const said = (textOf(event.peek('verdict.lifecycle.message')) ?? '') !== '';
  if (typeof difference === 'object' && !said) extension.add('msg', difference.join('; '), TEXT);
}

const CATEGORIES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'verdict.decision': '/MCP/Request',
    'verdict.outcome': '/MCP/Outcome',
    'verdict.approval': '/MCP/Approval',
    'verdict.lifecycle': '/MCP/Lifecycle',
    'verdict.checkpoint': '/MCP/Checkpoint',
    'verdict.gap': '/MCP/Gap',
  }),
);

function category(eventName: string, event: Event): string {
  if (event['mcp.method.name'] === 'tools/call') return '/MCP/ToolCall';
  return CATEGORIES.get(eventName) ?? '/MCP/Other';
}

const CLASS_KEYS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'verdict.decision': 'verdict.decision.effect',
    'verdict.outcome': 'verdict.outcome.status',
    'verdict.approval': 'verdict.approval.state',
    'verdict.lifecycle': 'verdict.lifecycle.state',
    'verdict.gap': 'verdict.gap.reason',
  }),
);

/** What a SIEM's rules are written for: the event's name and what of its kind it is. */
function classOf(eventName: string, event: Event): string {
  const key = CLASS_KEYS.get(eventName);
  const said = key === undefined ? undefined : textOf(event[key]);
  return said === undefined ? eventName || 'unknown' : `${eventName}.${said}`;
}

/** From OTel's 1 to 24 to CEF's 0 to 10, in its bands: 0 to 3 low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high. */
function severity(number: number): number {
  if (number >= 21) return 10;
  if (number >= 17) return 8;
  if (number >= 13) return 5;
  if (number >= 10) return 3;
  return number >= 9 ? 1 : 0;
}

function textOf(value: Scalar | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

const KNOWN: ReadonlySet<string> = new Set(EVENT_NAMES);

function restOf(event: Untold, eventName: string): readonly (readonly [string, Scalar])[] {
  return KNOWN.has(eventName) ? event.rest() : [['event.name', eventName], ...event.rest()];
}
