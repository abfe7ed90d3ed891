/**
 * Format `ocsf`: a line of JSON by the Open Cybersecurity Schema Framework 1.8.0. A decision, its outcome and the steps
 * of an approval are API Activity (6003); what happens to the proxy itself is Application Lifecycle (6002), a loss is
 * an Application Error (6008), and what OCSF has no class for, a checkpoint, is a Base Event (0).
 *
 * `raw_data` is the body, and `raw_data_hash` what the next record cites: 1.8.0 has no place for a chain.
 */
import { bodyHash } from '../event/stamp.ts';
import { SCOPE_NAME } from '../event/vocabulary.ts';
import type { Scalar } from '../event/vocabulary.ts';
import { approvalActivity, decisionActivity, outcomeActivity, pinControl } from './ocsf-activity.ts';
import { NS_PER_MS, policyOf, severityOf, STATUS } from './ocsf-parts.ts';
import type { Part, Subject } from './ocsf-parts.ts';
import type { Format, FormattedRecord, RecordOrigin } from './record.ts';
import { safeJson } from './safe-text.ts';
import { Untold } from './untold.ts';
import { inWords } from './words.ts';

export const ocsfFormat: Format = {
  name: 'ocsf',
  contentType: 'application/json',
  fileExtension: 'jsonl',
  carriesBody: true,
  encode,
};

const VERSION = '1.8.0';
/** OCSF's algorithm_id of SHA-256. */
const SHA256 = 3;
/** OCSF's Integer: a longer sequence stands in `unmapped` alone. */
const INTEGER_MAX = 2 ** 31 - 1;

const CATEGORY_NAMES = { 0: 'Uncategorized', 6: 'Application Activity' } as const;
const CLASSES = {
  0: { name: 'Base Event', category: 0 },
  6002: { name: 'Application Lifecycle', category: 6 },
  6003: { name: 'API Activity', category: 6 },
  6008: { name: 'Application Error', category: 6 },
} as const;
const SEVERITIES = ['Unknown', 'Informational', 'Low', 'Medium', 'High', 'Critical'] as const;

function encode({ body, content, origin }: FormattedRecord): string {
  const { eventName, attributes, timestamp, traceId, spanId } = content;
  const event = new Untold(attributes);
  const timeMs = timestamp[0] * 1000 + Math.floor(timestamp[1] / NS_PER_MS);
  const part = partOf(eventName, {
    event,
    attributes,
    origin,
    timeMs,
    severityNumber: content.severityNumber,
  });
  const { name: className, category } = CLASSES[part.classUid];
  const detail = part.detail === undefined ? '' : `: ${part.detail}`;
  const trace =
    part.classUid === 6003 && traceId !== undefined ? { uid: traceId, ...spanOf(spanId, part) } : undefined;
  const device = deviceOf(origin);
  const metadata = metadataOf(eventName, event, origin, [
    ...part.profiles,
    ...(trace === undefined ? [] : ['trace']),
    ...(device === undefined ? [] : ['host']),
  ]);
  const ocsf = {
    activity_id: part.activityId,
    activity_name: part.activityName,
    category_uid: category,
    category_name: CATEGORY_NAMES[category],
    class_uid: part.classUid,
    class_name: className,
    type_uid: part.classUid * 100 + part.activityId,
    type_name: `${className}: ${part.activityId === 99 ? 'Other' : part.activityName}`,
    time: timeMs,
    ...part.interval,
    severity_id: part.severityId,
    severity: SEVERITIES[part.severityId],
    status_id: part.statusId,
    status: part.status ?? STATUS[part.statusId],
    status_code: part.statusCode,
    status_detail: part.detail,
    message: `${inWords(eventName, attributes)}${detail}`,
    metadata,
    ...part.fields,
    trace,
    device,
    raw_data: body,
    raw_data_hash: { algorithm_id: SHA256, algorithm: 'SHA-256', value: bodyHash(body) },
    raw_data_size: Buffer.byteLength(body),
    unmapped: unmappedOf(event, trace === undefined ? { trace_id: traceId, span_id: spanId } : {}),
  };
  return safeJson(JSON.stringify(ocsf));
}

function partOf(eventName: string, subject: Subject): Part {
  switch (eventName) {
    case 'verdict.decision':
      return decisionActivity(subject);
    case 'verdict.outcome':
      return outcomeActivity(subject);
    case 'verdict.approval':
      return approvalActivity(subject);
    case 'verdict.lifecycle':
      return lifecyclePart(subject);
    case 'verdict.gap':
      return gapPart(subject);
    default:
      return basePart(eventName, subject);
  }
}

/** OCSF asks for a span's start and end, and of ours the record knows the part that it tells of. */
function spanOf(spanId: string | undefined, { interval }: Part): object | undefined {
  if (spanId === undefined || interval === undefined) return undefined;
  return { span: { uid: spanId, start_time: interval.start_time, end_time: interval.end_time } };
}

function deviceOf({ resource }: RecordOrigin): object | undefined {
  const hostname = resource['host.name'];
  return typeof hostname === 'string' && hostname !== ''
    ? { type_id: 0, type: 'Unknown', hostname }
    : undefined;
}

function metadataOf(
  eventName: string,
  event: Untold,
  origin: RecordOrigin,
  profiles: readonly string[],
): object {
  const { 'service.name': serviceName, 'service.instance.id': instance } = origin.resource;
  const uid = event.text('log.record.uid');
  const sequence = event.peek('verdict.stream.sequence');
  return {
    version: VERSION,
    product: { name: SCOPE_NAME, vendor_name: SCOPE_NAME, version: origin.scope.version },
    ...(serviceName === undefined ? {} : { reporter: { name: String(serviceName), uid: textOf(instance) } }),
    profiles,
    uid,
    // Of a decision its own: so that it, its approval and its outcome are found by one value.
    correlation_uid:
      event.text('verdict.decision.uid') ?? (eventName === 'verdict.decision' ? uid : undefined),
    event_code: eventName,
    original_time: event.text('verdict.time'),
    sequence: typeof sequence === 'number' && sequence <= INTEGER_MAX ? sequence : undefined,
  };
}

const LIFECYCLE_ACTIVITIES: ReadonlyMap<string, readonly [id: number, name: string]> = new Map([
  ['start', [3, 'Start']],
  ['stop', [4, 'Stop']],
]);

/** States that tell of something that went wrong. */
const FAILED_STATES: ReadonlySet<string> = new Set(['reload_failed', 'tool_changed']);

function lifecyclePart({ event, attributes, origin, severityNumber }: Subject): Part {
  const state = event.text('verdict.lifecycle.state') ?? 'unknown';
  const [activityId, activityName] = LIFECYCLE_ACTIVITIES.get(state) ?? [99, state];
  const policy = policyOf(event, undefined);
  const control = state === 'tool_changed' ? pinControl(attributes) : undefined;
  const { 'service.name': name = SCOPE_NAME, 'service.version': version } = origin.resource;
  return {
    classUid: 6002,
    activityId,
    activityName,
    severityId: severityOf(severityNumber),
    statusId: FAILED_STATES.has(state) ? 2 : 1,
    statusCode: state,
    detail: event.text('verdict.lifecycle.message') ?? inSentence(attributes['verdict.tool.difference']),
    profiles: policy === undefined && control === undefined ? [] : ['security_control'],
    fields: {
      ...control,
      app: { name: String(name), vendor_name: SCOPE_NAME, version: textOf(version) },
      policy,
    },
  };
}

/** Said as a list in `unmapped` too: what a server writes can look like the end of a part. */
function inSentence(parts: Scalar | undefined): string | undefined {
  return typeof parts === 'object' && parts.length > 0 ? parts.join('; ') : undefined;
}

function gapPart({ event, severityNumber }: Subject): Part {
  return {
    classUid: 6008,
    activityId: 99,
    activityName: 'Gap',
    severityId: severityOf(severityNumber),
    statusId: 2,
    statusCode: event.text('verdict.gap.reason'),
    profiles: [],
    fields: {},
  };
}

/** A checkpoint, and whatever a later version or another program records. */
function basePart(eventName: string, { severityNumber }: Subject): Part {
  const isCheckpoint = eventName === 'verdict.checkpoint';
  return {
    classUid: 0,
    activityId: 99,
    activityName: isCheckpoint ? 'Checkpoint' : eventName,
    severityId: severityOf(severityNumber),
    statusId: isCheckpoint ? 1 : 0,
    profiles: [],
    fields: {},
  };
}

/** Under the event's own keys. */
function unmappedOf(event: Untold, more: Readonly<Record<string, string | undefined>>): object {
  const unmapped: Record<string, Scalar | undefined> = { ...more };
  for (const [key, value] of event.rest()) {
    // To assign this one would not make a member of it.
    if (key === '__proto__') Object.defineProperty(unmapped, key, { value, enumerable: true });
    else unmapped[key] = value;
  }
  return unmapped;
}

function textOf(value: Scalar | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
