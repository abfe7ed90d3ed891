/**
 * The chain: each record names its stream, its place in it and the hash of the record before, so that whoever holds
 * the bodies can prove that none is missing or changed. Pure.
 */
import { hash as digest } from 'node:crypto';
import { canonicalEvent } from './canonical.ts';
import type { TraceIds } from './recorder.ts';
import { SCHEMA_VERSION } from './vocabulary.ts';
import type { Event, Scalar } from './vocabulary.ts';

/** What the first record of a stream without a predecessor cites. */
export const ZERO_HASH = '0'.repeat(64);

/** The place in a stream that the next record takes. */
export interface Link {
  readonly streamId: string;
  /** From 1. */
  readonly sequence: number;
  /** Hex SHA-256 of the body before. */
  readonly previousHash: string;
}

/** A record whose attributes are complete but for the stream's. */
export interface Unstamped {
  /** One of EVENT_NAMES, or another program’s own. */
  readonly name: string;
  readonly severity: number;
  readonly trace?: TraceIds | undefined;
  readonly service: { readonly name: string; readonly instanceId: string };
  /** Holds `log.record.uid`, `verdict.time` and the fields. */
  readonly attributes: Event;
}

export interface Stamped {
  /** The attributes of the LogRecord. */
  readonly event: Event;
  /** Canonical JSON of the attributes and the body-only keys. */
  readonly body: string;
  /** Hex SHA-256 of the body's UTF-8. */
  readonly hash: string;
  readonly next: Link;
}

/** @param previousHash hash of the last record of the stream that this one follows */
export function firstLink(streamId: string, previousHash: string = ZERO_HASH): Link {
  return { streamId, sequence: 1, previousHash };
}

export function stamp(link: Link, record: Unstamped): Stamped {
  const event: Event = {
    ...record.attributes,
    'verdict.stream.id': link.streamId,
    'verdict.stream.sequence': link.sequence,
    'verdict.stream.previous_hash': link.previousHash,
  };
  const body = canonicalEvent({ ...event, ...bodyOnly(record) });
  const hash = bodyHash(body);
  return { event, body, hash, next: { ...link, sequence: link.sequence + 1, previousHash: hash } };
}

/** Hex SHA-256 of a body's UTF-8: what the next record cites. */
export function bodyHash(body: string): string {
  return digest('sha256', body);
}

/** What a body says beside the attributes, so that it can be read alone. */
export function bodyOnly({ name, severity, trace, service }: Unstamped): Record<string, Scalar> {
  return {
    'event.name': name,
    'severity.number': severity,
    'service.name': service.name,
    'service.instance.id': service.instanceId,
    'verdict.schema.version': SCHEMA_VERSION,
    ...(trace && { trace_id: trace.traceId, span_id: trace.spanId }),
  };
}
