/** What the main thread and the delivery thread say to each other: plain data only. */
import type { MessagePort } from 'node:worker_threads';
import type { Effect } from '../event/vocabulary.ts';
import type { StreamIdentity } from '../spool/segment.ts';
import type { Citation, Damage, DurablePosition } from '../spool/position.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { FileSettings } from './file/file-exporter.ts';
import type { OtlpEndpoint } from './honest-otlp.ts';
import type { HttpSettings } from './http/http-exporter.ts';
import type { PumpStatus } from './pump-options.ts';
import type { StdoutSettings } from './stdout-exporter.ts';
import type { SyslogSettings } from './syslog/syslog-exporter.ts';

interface AnyPlan {
  /** Also of its cursor files: `[a-z0-9_-]{1,64}`. */
  readonly name: string;
  /** Records are kept until this one has had them acknowledged. */
  readonly required: boolean;
  /** Only decisions of these effects are sent, and their approvals; undefined: every record. */
  readonly effects?: readonly Effect[] | undefined;
}

export interface OtlpPlan extends AnyPlan {
  readonly kind: 'otlp';
  /** undefined: OTEL_EXPORTER_OTLP_* says where. */
  readonly endpoint?: OtlpEndpoint | undefined;
}

export interface FilePlan extends AnyPlan {
  readonly kind: 'file';
  readonly file: FileSettings;
}

export interface HttpPlan extends AnyPlan {
  readonly kind: 'http';
  readonly http: HttpSettings;
}

export interface StdoutPlan extends AnyPlan {
  readonly kind: 'stdout';
  readonly stdout: StdoutSettings;
}

export interface SyslogPlan extends AnyPlan {
  readonly kind: 'syslog';
  readonly syslog: SyslogSettings;
}

export type ExporterPlan = OtlpPlan | FilePlan | HttpPlan | StdoutPlan | SyslogPlan;

/** A stream that is to be delivered: our own, or one taken over. Announced oldest first. */
export interface StreamAnnouncement {
  readonly identity: StreamIdentity;
  /** First sequence that is kept. */
  readonly first: number;
  /** How far it is durable; of a stream taken over, its end. */
  readonly durable: DurablePosition;
  /** Where it is over for good; undefined while it is written. */
  readonly end?: Citation | undefined;
}

/** What the thread is started with. */
export interface DeliveryPlan {
  /** Of the spool. */
  readonly directory: string;
  readonly exporters: readonly ExporterPlan[];
  /** Ours, for the User-Agent. */
  readonly version: string;
}

export type ToThread =
  | { readonly kind: 'stream'; readonly stream: StreamAnnouncement }
  /** A stream that was announced while it was written is over. */
  | { readonly kind: 'ended'; readonly end: Citation }
  /** Retention has freed what lies before `first`. */
  | { readonly kind: 'kept'; readonly stream: string; readonly first: number }
  /** `port` carries a DurablePosition a message. */
  | { readonly kind: 'durable_port'; readonly port: MessagePort }
  | { readonly kind: 'durable'; readonly position: DurablePosition }
  /** The answer to a damage or a dead letter: its gap is on record, or cannot be put there. */
  | { readonly kind: 'answer'; readonly id: number; readonly error?: string | undefined }
  /** Files may have been moved away: SIGHUP. */
  | { readonly kind: 'reopen' }
  | { readonly kind: 'stop'; readonly deadlineMs: number };

export type FromThread =
  | { readonly kind: 'line'; readonly level: keyof Diagnostics; readonly text: string }
  | { readonly kind: 'status'; readonly exporters: Readonly<Record<string, PumpStatus>> }
  | { readonly kind: 'damage'; readonly id: number; readonly damage: Damage }
  | { readonly kind: 'dead_letter'; readonly id: number; readonly letter: DeadLetter }
  /** The exporter's cursor is durable at this sequence. */
  | {
      readonly kind: 'acknowledged';
      readonly exporter: string;
      readonly stream: string;
      readonly sequence: number;
    }
  /** The exporter has had all of a stream that is over. */
  | { readonly kind: 'finished'; readonly exporter: string; readonly stream: string }
  | { readonly kind: 'stopped'; readonly exporters: Readonly<Record<string, PumpStatus>> };
