/** The gate itself: judges, records, waits for the record, and only then says forward (DESIGN section 1). */
import { errorRow, errorText } from '../errors.ts';
import type { Json } from '../event/json.ts';
import type { HmacKey } from '../event/keyring.ts';
import type { Recorder } from '../event/recorder.ts';
import type { ArgumentLevel } from '../event/redact.ts';
import { SEVERITY, type Reason } from '../event/vocabulary.ts';
import { evaluate } from '../policy/evaluate.ts';
import { killDetails } from '../policy/kills.ts';
import type { Policy } from '../policy/policy.ts';
import type { DenialStyle, Verdict } from '../policy/verdict.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { Metrics, Operation } from '../telemetry/metrics.ts';
import type { RequestTrace, Tracing } from '../telemetry/request-trace.ts';
import { errorAnswer } from './message/answer.ts';
import { decisionFields, outcomeFields, rejectionFields, requestIdOf, targetOf } from './decision.ts';
import type { Answer, Direction, Forward, Gate, Governable, Origin } from './gate.ts';
import type { Outcome, Refuse, Rejection, Ruling } from './gate.ts';
import type { KillSwitch } from './kill-switch.ts';
import type { Catalogue } from './lists/catalogue.ts';
import type { ListChanges } from './lists/changes.ts';
import { createLists } from './lists/lists.ts';
import { isRemoved, lookupMethod, type MethodRow } from './message/methods.ts';
import { shown } from './message/strict-json.ts';
import type { ToolPins } from './pins/pins.ts';
import { refusalOf } from './refusal.ts';

export interface GateOptions {
  /** The policy in force now; read once per message. */
  readonly policy: () => Policy;
  /** Whether tools are as they are pinned. */
  readonly pins: Pick<ToolPins, 'standing'>;
  readonly recorder: Recorder;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly hmac: HmacKey;
  readonly diagnostics: Diagnostics;
  /** How denials are told whose rule does not say. */
  readonly denials: () => DenialStyle;
  /** What becomes of a call that policy allows and that cannot be recorded. */
  readonly onAuditFailure: 'deny' | 'allow';
  readonly now: () => Date;
  /** Undefined where nothing is ever stopped by hand. */
  readonly killSwitch?: KillSwitch | undefined;
  /** Learns of the tools that upstreams list. */
  readonly catalogue?: Catalogue | undefined;
  /** When other policy comes into force; undefined where none ever will. */
  readonly listChanges?: ListChanges | undefined;
}

/** A gate that can be closed: from then on everything is refused, with reason `shutdown`. */
export interface ClosableGate extends Gate {
  close(): void;
}

export function createGate(options: GateOptions): ClosableGate {
  let closed = false;
  return {
    close() {
      closed = true;
    },
    reject: (rejection) => reject(options, rejection),
    show: createLists(options),
    killSwitch: options.killSwitch,
    listChanges: options.listChanges,
    decide: (message, origin, direction, onlyCounted) =>
      decide(options, {
        message,
        origin,
        direction,
        onlyCounted,
        closed,
        arrivedNs: process.hrtime.bigint(),
      }),
  };
}

interface Passage {
  readonly message: Governable;
  readonly origin: Origin;
  readonly direction: Direction;
  /** See Gate. */
  readonly onlyCounted: (() => boolean) | undefined;
  readonly closed: boolean;
  readonly arrivedNs: bigint;
}

async function decide(options: GateOptions, passage: Passage): Promise<Ruling> {
  const { message, direction } = passage;
  const row = rowOf(message, direction);
  const trace = startTrace(options, passage);
  let uid: string | undefined;
  let judged: Judged = { verdict: UNDECIDED, argumentsLevel: 'none' };
  try {
    const startedNs = process.hrtime.bigint();
    judged = judge(options, passage, row);
    const durationNs = Number(process.hrtime.bigint() - startedNs);
    count(options, passage, judged.verdict, durationNs);
    const denied = judged.verdict.effect !== 'allow';
    const counted = denied && passage.onlyCounted?.() === true;
    if (!counted && (denied || row?.record !== 'none')) {
      const fields = decisionFields(message, passage.origin, { ...judged, durationNs }, options.hmac);
      trace.note(fields);
      const severity = severityOf(judged.verdict);
      uid = options.recorder.emit({ name: 'verdict.decision', severity, fields, trace: trace.ids });
      // Only what is governed waits: a slow disk must not hold up a handshake, and a refusal forwards nothing
      // but still promises the agent a decision that can be looked up.
      if (row?.record !== 'async') await options.recorder.recorded(uid);
    }
  } catch (error) {
    const why = `its decision could not be recorded: ${describe(error)}`;
    if (judged.verdict.effect === 'allow' && options.onAuditFailure === 'allow') {
      options.diagnostics.error(`${message.method} went on although ${why}`);
      return forward(options, { passage, row, trace, uid: undefined });
    }
    // Whatever broke inside, the call must not run. The agent sees an ordinary denial.
    options.diagnostics.error(`${message.method} was refused, ${why}`);
    return refuse(options, { passage, row, trace, uid }, { ...judged, verdict: UNRECORDED, hidden: false });
  }
  const passed: Passed = { passage, row, trace, uid };
  if (judged.verdict.effect !== 'allow') return refuse(options, passed, judged);
  return forward(options, passed);
}

function rowOf(message: Governable, direction: Direction): MethodRow | undefined {
  const { method, kind, call } = message;
  const removed = call.modern && kind === 'request' && direction === 'to_upstream' && isRemoved(method);
  return removed ? undefined : lookupMethod(method, kind === 'input' ? 'request' : kind, direction);
}

interface Judged {
  readonly verdict: Verdict;
  readonly argumentsLevel: ArgumentLevel;
  readonly toolDigest?: string | undefined;
  /** Whether it is denied as if there were no such thing. */
  readonly hidden?: boolean | undefined;
}

function judge(options: GateOptions, passage: Passage, row: MethodRow | undefined): Judged {
  const { message, origin } = passage;
  const policy = options.policy();
  const refused = (reason: Reason, text: string): Judged => ({
    verdict: { effect: 'deny', reason, message: text, digest: policy.digest },
    argumentsLevel: 'redacted',
  });
  if (passage.closed) return refused('shutdown', errorText('shutdown'));
  // Before all else, so that whatever goes wrong in policy cannot let anything through.
  const kill = options.killSwitch?.killOf(origin);
  if (kill !== undefined) return refused('killed', errorText('killed', killDetails(kill)));
  if (row === undefined)
    return refused('method_unknown', errorText('method_unknown', { method: message.method }));
  const { call } = message;
  const evaluated = evaluate(
    policy,
    {
      identity: origin.identity,
      server: origin.server.name,
      method: message.method,
      tool: call.tool,
      prompt: call.prompt,
      uri: call.uri,
      args: call.args ?? NO_ARGUMENTS,
      transport: origin.transport,
      protocolVersion: call.protocolVersion ?? origin.protocolVersion,
      clientAddress: origin.clientAddress,
    },
    { now: options.now(), unmatched: row.class === 'protocol' ? 'allow' : 'deny' },
  );
  const judged = toldAs(evaluated, options.denials());
  if (call.tool === undefined) return judged;
  const { digest: toolDigest, refusal } = options.pins.standing(origin.server.name, call.tool);
  // What policy denies stays denied for policy's reason; what it allows, or has a person allow, is that no longer.
  if (refusal === undefined || judged.verdict.effect === 'deny') return { ...judged, toolDigest };
  const text = errorText(refusal, { server: origin.server.name, tool: shown(call.tool) });
  return { ...judged, ...refused('tool_changed', text), argumentsLevel: judged.argumentsLevel, toolDigest };
}

/** Why something is denied is for the record; in style hidden, that it is denied is too. */
function toldAs({ verdict, argumentsLevel }: Judged, denials: DenialStyle): Judged {
  const hidden =
    HIDEABLE.has(verdict.reason) && verdict.effect === 'deny' && (verdict.style ?? denials) === 'hidden';
  if (!hidden) return { verdict, argumentsLevel };
  // A failure of a rule's stays one: somebody has to mend the rule.
  const reason = verdict.reason === 'policy_error' ? verdict.reason : 'hidden';
  return { verdict: { ...verdict, reason }, argumentsLevel, hidden };
}

/** What policy itself says; of a proxy that stops, or cannot record, nothing need be hidden. */
const HIDEABLE: ReadonlySet<Reason> = new Set<Reason>(['rule', 'default', 'policy_error']);

const NO_ARGUMENTS: ReadonlyMap<string, Json> = new Map();

const UNDECIDED: Verdict = { effect: 'deny', reason: 'policy_error', message: '', digest: '' };

const UNRECORDED: Verdict = {
  effect: 'deny',
  reason: 'audit_unavailable',
  message: errorText('audit_unavailable'),
  digest: '',
};

function severityOf(verdict: Verdict): number {
  return verdict.reason === 'policy_error' ? SEVERITY.error : SEVERITY[verdict.effect];
}

function count(options: GateOptions, passage: Passage, verdict: Verdict, durationNs: number): void {
  options.metrics.evaluation(durationNs / 1e9);
  options.metrics.decision({
    effect: verdict.effect,
    server: passage.origin.server.name,
    reason: verdict.reason,
  });
}

function startTrace(options: GateOptions, { message, origin }: Passage): RequestTrace {
  const { call } = message;
  return options.tracing.start({
    method: message.method,
    target: targetOf(call),
    parents: {
      meta: { traceparent: call.traceparent, tracestate: call.tracestate },
      http: { traceparent: origin.traceparent, tracestate: origin.tracestate },
    },
    attributes: {
      'jsonrpc.request.id': requestIdOf(message),
      'mcp.protocol.version': call.protocolVersion ?? origin.protocolVersion,
      'gen_ai.tool.name': call.tool,
      'gen_ai.prompt.name': call.prompt,
      'gen_ai.operation.name': call.tool === undefined ? undefined : 'execute_tool',
      'network.transport': origin.transport,
      'client.address': origin.clientAddress,
    },
  });
}

/** A message that has its verdict. */
interface Passed {
  readonly passage: Passage;
  readonly row: MethodRow | undefined;
  readonly trace: RequestTrace;
  readonly uid: string | undefined;
}

function refuse(options: GateOptions, { passage, row, trace, uid }: Passed, judged: Judged): Refuse {
  const { message } = passage;
  const { answer, errorType } = refusalOf(message, row, { ...judged, uid });
  trace.end({ errorType });
  if (message.kind === 'request') {
    options.metrics.serverOperation(secondsSince(passage.arrivedNs), operationOf(passage, row, errorType));
  }
  return { forward: false, answer };
}

function forward(options: GateOptions, { passage, row, trace, uid }: Passed): Forward {
  const { message, origin } = passage;
  const upstream = trace.upstream({
    'verdict.server.name': origin.server.name,
    'server.address': origin.server.address,
    'server.port': origin.server.port,
  });
  if (message.kind !== 'request') {
    upstream.end();
    trace.end();
    return { forward: true, asked: undefined, trace: upstream, settle: () => {} };
  }
  const startedNs = process.hrtime.bigint();
  const { arrivedNs } = passage;
  const operation = operationOf(passage, row, undefined);
  let settled = false;
  // It may be kept for as long as the answer takes, by many at once: it must not hold the message, which may be large.
  const settle = (outcome: Outcome): void => {
    if (settled) return;
    settled = true;
    const durationNs = Number(process.hrtime.bigint() - startedNs);
    const fields = outcomeFields(outcome, durationNs);
    const end = { errorType: outcome.errorType, attributes: fields };
    upstream.end(end);
    trace.end(end);
    const done = { ...operation, errorType: outcome.errorType };
    options.metrics.clientOperation(durationNs / 1e9, done);
    options.metrics.serverOperation(secondsSince(arrivedNs), done);
    // What is not recorded when it is decided (a ping) is not recorded when it is done.
    if (uid === undefined) return;
    options.recorder.emit({
      name: 'verdict.outcome',
      severity: LOST.has(outcome.status) ? SEVERITY.deny : SEVERITY.info,
      fields: { ...fields, 'verdict.decision.uid': uid },
      trace: trace.ids,
    });
  };
  const { method, call } = message;
  const protocolVersion = call.protocolVersion ?? origin.protocolVersion;
  // The table's own name: that of the message would hold all of it.
  const asked = { method: row?.method ?? method, modern: call.modern, protocolVersion };
  return { forward: true, asked, trace: upstream, settle };
}

/** Outcomes that leave open what the upstream did; somebody should look. */
const LOST: ReadonlySet<string> = new Set(['transport_error', 'unknown']);

function secondsSince(startNs: bigint): number {
  return Number(process.hrtime.bigint() - startNs) / 1e9;
}

function operationOf(passage: Passage, row: MethodRow | undefined, errorType: string | undefined): Operation {
  const { message, origin } = passage;
  return {
    // A method that is in no table is the caller's text, and would make a time series of its own.
    method: row?.method ?? '_OTHER',
    server: origin.server.name,
    transport: origin.transport,
    protocolVersion: revisionOf(message.call.protocolVersion ?? origin.protocolVersion),
    errorType,
  };
}

const REVISION = /^\d{4}-\d{2}-\d{2}$/;

/** A protocol version as metrics may have it: what is no date is the caller's text. */
function revisionOf(version: string | undefined): string | undefined {
  return version === undefined || REVISION.test(version) ? version : '_OTHER';
}

function reject(options: GateOptions, rejection: Rejection): Answer {
  const { code, details, reason, origin, id, message, direction } = rejection;
  const why = errorText(code, details);
  // The origin is that of the client, whichever side has sent what is refused.
  const text = direction === 'to_client' ? `From the server: ${why}` : why;
  const trace = options.tracing.start({
    method: 'rejected',
    parents: {
      meta: { traceparent: message?.call.traceparent, tracestate: message?.call.tracestate },
      http: { traceparent: origin.traceparent, tracestate: origin.tracestate },
    },
    attributes: { 'network.transport': origin.transport, 'client.address': origin.clientAddress },
  });
  const uid = options.recorder.emit({
    name: 'verdict.decision',
    severity: SEVERITY.deny,
    fields: rejectionFields(rejection, { text, digest: options.policy().digest }, options.hmac),
    trace: trace.ids,
  });
  trace.end({ errorType: reason });
  options.metrics.decision({ effect: 'deny', server: origin.server?.name ?? 'none', reason });
  return {
    httpStatus: errorRow(code).http ?? 400,
    body: errorAnswer(id, code, details, { uid, effect: 'deny', reason }),
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
