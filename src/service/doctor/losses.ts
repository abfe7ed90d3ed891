/** What would be lost in a set-up in which everything works as it is set. Pure. */
import type { SpoolConfig } from '../../config/spool.ts';
import type { ExporterPlan } from '../../export/delivery-message.ts';
import type { Finding } from './finding.ts';
import { bytesText, timeText } from './quantities.ts';

export interface LossOptions {
  readonly spool: SpoolConfig;
  readonly exporters: readonly Pick<ExporterPlan, 'name' | 'required'>[];
  readonly onAuditFailure: 'deny' | 'allow';
  /** As measured in the spool; undefined where it holds too little. */
  readonly bytesPerSecond: number | undefined;
}

/** An outage of this length must fit: from Friday night to Monday morning somebody may not look. */
const OUTAGE_MS = 60 * 3_600_000;
/** Below it, nobody notices a hole in time to heal it. */
const KEEP_MS_MIN = 24 * 3_600_000;

export function findLosses(options: LossOptions): Finding[] {
  const findings = [
    ofDurability(options),
    ofExporters(options),
    ofKeep(options),
    ofRate(options),
    ofFailure(options),
  ].flatMap((finding) => finding ?? []);
  if (findings.some(({ level }) => level !== 'ok')) return findings;
  const found = 'nothing between a call and the first acknowledgement, as far as this set-up tells';
  return [...findings, { check: 'loss', level: 'ok', found }];
}

function ofDurability({ spool: { durability } }: LossOptions): Finding | undefined {
  if (durability === 'sync') return undefined;
  const found =
    durability === 'os'
      ? 'durability is os: a power cut or a crash of the system loses the last records'
      : 'durability is none: whatever is not delivered when the process ends, or finds its queue full, is lost';
  return { check: 'loss', level: 'warn', found, advice: 'Set spool.durability to sync' };
}

function ofExporters({ exporters, spool }: LossOptions): Finding | undefined {
  if (exporters.some(({ required }) => required)) return undefined;
  if (spool.durability === 'none') {
    if (exporters.length > 0) return undefined;
    const found = 'no exporter, and no spool: records are kept nowhere';
    return { check: 'loss', level: 'warn', found, advice: 'Set OTEL_EXPORTER_OTLP_ENDPOINT' };
  }
  const who = exporters.length === 0 ? 'there is no exporter' : 'no exporter is required';
  const found = `${who}: at ${bytesText(spool.bytesMax)} (spool.max_bytes) the oldest records go, delivered or not`;
  const advice =
    exporters.length === 0
      ? 'Set OTEL_EXPORTER_OTLP_ENDPOINT, or archive with records export'
      : 'Set required: true on the one that must have everything';
  return { check: 'loss', level: 'warn', found, advice };
}

function ofKeep({ exporters, spool: { durability, keepMs } }: LossOptions): Finding | undefined {
  if (durability === 'none' || exporters.length === 0 || keepMs >= KEEP_MS_MIN) return undefined;
  const kept = keepMs === 0 ? 'at once' : `after ${timeText(keepMs)}`;
  const found = `spool.keep: records go ${kept} when they are acknowledged, and what a later hop loses cannot be sent again from then on`;
  return {
    check: 'loss',
    level: 'warn',
    found,
    advice: 'Keep them for longer than it takes to run records verify',
  };
}

function ofRate({ spool, bytesPerSecond }: LossOptions): Finding | undefined {
  if (spool.durability === 'none' || bytesPerSecond === undefined || bytesPerSecond <= 0) return undefined;
  const holdsMs = (spool.bytesMax / bytesPerSecond) * 1000;
  const facts = { bytes_per_second: Math.round(bytesPerSecond), holds_ms: Math.round(holdsMs) };
  const found = `at the rate so far (${bytesText(bytesPerSecond * 3600)} an hour) spool.max_bytes holds records for ${timeText(holdsMs)}`;
  if (holdsMs < OUTAGE_MS) {
    const advice =
      'A longer outage of a required exporter refuses calls, and of any other loses records: raise it';
    return { check: 'loss', level: 'warn', found, advice, facts };
  }
  if (holdsMs < spool.keepMs) {
    const advice = `So they are freed before spool.keep (${timeText(spool.keepMs)}) is over: raise it`;
    return { check: 'loss', level: 'warn', found, advice, facts };
  }
  return { check: 'loss', level: 'ok', found, facts };
}

function ofFailure({ onAuditFailure }: LossOptions): Finding | undefined {
  if (onAuditFailure === 'deny') return undefined;
  const found =
    'on_audit_failure is allow: while the disk takes no records, calls are made that nobody will know of';
  return { check: 'loss', level: 'warn', found, advice: 'Set it to deny' };
}
