/** What every format is given, and what a format is. */
import { bodyToLogRecord } from '../event/log-record.ts';
import type { LogRecordContent } from '../event/log-record.ts';
import type { Event } from '../event/vocabulary.ts';

/**
 * Who recorded. One object for all records of a stream: formats keep what they made of it by its identity. A stream's
 * identity (spool/segment.ts) is one.
 */
export interface RecordOrigin {
  /** OTel resource attributes. */
  readonly resource: Event;
  /** OTel instrumentation scope. */
  readonly scope: { readonly name: string; readonly version?: string; readonly schemaUrl?: string };
}

/** A record in the forms that formats take what they say from. */
export interface FormattedRecord {
  /** Canonical JSON on one line: what was hashed. */
  readonly body: string;
  /** What the body says, as a LogRecord holds it. */
  readonly content: LogRecordContent;
  readonly origin: RecordOrigin;
}

export interface Format {
  /** As in configuration and on the command line. */
  readonly name: string;
  /** Media type of one record. */
  readonly contentType: string;
  /** Of a file with one record a line, without a dot. */
  readonly fileExtension: string;
  /** Whether `records verify` can prove a chain from what this format says. */
  readonly carriesBody: boolean;
  /**
   * One record on one line, without its LF and without any other line break. Pure: the same record has the same
   * bytes. Well-formed Unicode, so UTF-8 holds it exactly.
   */
  encode(record: FormattedRecord): string;
}

/** Throws SyntaxError on what is not JSON, TypeError on what is not the body of a record. */
export function formattedRecord(body: string, origin: RecordOrigin): FormattedRecord {
  return { body, content: bodyToLogRecord(body), origin };
}
