/**
 * The library: what other programs may build on. Every name is listed; adding one is a promise.
 */
export { KEYS, EVENT_NAMES, SCHEMA_URL, SCHEMA_VERSION, SEVERITY } from './event/vocabulary.ts';
export type {
  Event,
  EventKey,
  EventName,
  Effect,
  Fields,
  OutcomeStatus,
  Reason,
  Scalar,
} from './event/vocabulary.ts';
export { eventJsonSchema } from './event/json-schema.ts';
export { canonicalEvent, canonicalJson } from './event/canonical.ts';
export { bodyHash, firstLink, stamp, ZERO_HASH } from './event/stamp.ts';
export { bodyToLogRecord } from './event/log-record.ts';
export { JsonNumber, type Json } from './event/json.ts';
export { parseStrictJson } from './proxy/message/strict-json.ts';
export { loadPolicy } from './policy/load.ts';
export { evaluate } from './policy/evaluate.ts';
export type { Policy } from './policy/policy.ts';
export type { PolicyRequest, Verdict } from './policy/verdict.ts';
export type { Identity } from './identity/identity.ts';
export { SpoolLogRecordProcessor, type SpoolProcessorOptions } from './export/spool-processor.ts';
export { loadSigningKey, parsePublicKey, type SigningKey } from './event/signing.ts';
export { createVerifier } from './event/verify.ts';
export { reportLines } from './event/verify-report.ts';
export { FORMATS, formatNamed } from './format/formats.ts';
export { formattedRecord, type Format, type FormattedRecord, type RecordOrigin } from './format/record.ts';
