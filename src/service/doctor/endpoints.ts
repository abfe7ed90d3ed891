/** What an OTLP endpoint makes of one record. */
import { ExportResultCode } from '@opentelemetry/core';
import type { Environment } from '../../config.ts';
import { VerdictError } from '../../errors.ts';
import type { Attempt, Judgement } from '../../export/acknowledgement.ts';
import type { OtlpPlan } from '../../export/delivery-message.ts';
import { createHonestOtlpExporter } from '../../export/honest-otlp.ts';
import type { Probe } from '../../export/probe-record.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import type { ClockReading } from './clock.ts';
import type { Facts, Finding } from './finding.ts';
import { timeText } from './quantities.ts';

export interface EndpointOptions {
  readonly plan: OtlpPlan;
  readonly probe: Probe;
  readonly env: Environment;
  /** Ours. */
  readonly version: string;
}

export interface EndpointExamination {
  readonly findings: readonly Finding[];
  /** As people may see it; undefined where the settings are wrong. */
  readonly endpoint: string | undefined;
  readonly clock: ClockReading | undefined;
}

export async function examineEndpoint(options: EndpointOptions): Promise<EndpointExamination> {
  const { plan, probe, env, version } = options;
  const subject = plan.name;
  const warnings: string[] = [];
  const warn = (text: string): void => void warnings.push(text);
  const silent = (): void => {};
  const diagnostics: Diagnostics = { error: warn, warn, info: silent, debug: silent };
  try {
    const exporter = createHonestOtlpExporter({ endpoint: plan.endpoint, env, diagnostics, version });
    const { endpoint } = exporter;
    const sentMs = Date.now();
    const started = performance.now();
    const failed = await new Promise<Error | undefined>((resolve) => {
      exporter.export([probe.record], ({ code, error }) => {
        resolve(code === ExportResultCode.SUCCESS ? undefined : (error ?? new Error('no answer in time')));
      });
    });
    const elapsedMs = performance.now() - started;
    const answer = {
      judgement: exporter.lastJudgement(),
      attempt: exporter.lastAttempt(),
      failed,
      elapsedMs,
    };
    await exporter.shutdown();
    const told: Finding[] = warnings.map((found) => ({ check: 'endpoint', subject, level: 'warn', found }));
    const theirsMs = dateOf(answer.attempt);
    return {
      findings: [endpointFinding(plan, { ...answer, endpoint, uid: probe.uid }), ...told],
      endpoint,
      clock:
        theirsMs === undefined ? undefined : { endpoint, theirsMs, sentMs, answeredMs: sentMs + elapsedMs },
    };
  } catch (error) {
    if (!(error instanceof VerdictError)) throw error;
    const finding: Finding = { check: 'endpoint', subject, level: 'fail', found: error.message, exit: 3 };
    return { findings: [finding], endpoint: undefined, clock: undefined };
  }
}

function dateOf(attempt: Attempt | undefined): number | undefined {
  const text = attempt !== undefined && 'headers' in attempt ? attempt.headers.date : undefined;
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

export interface EndpointAnswer {
  readonly endpoint: string;
  readonly uid: string;
  readonly judgement: Judgement | undefined;
  readonly attempt: Attempt | undefined;
  /** What the exporter said; undefined where it was a success. */
  readonly failed: Error | undefined;
  readonly elapsedMs: number;
}

/** Pure. */
export function endpointFinding({ name, endpoint: named }: OtlpPlan, answer: EndpointAnswer): Finding {
  const { endpoint, uid, judgement, attempt, failed, elapsedMs } = answer;
  const answered = attempt !== undefined && 'status' in attempt;
  const took = timeText(elapsedMs);
  const base = { check: 'endpoint', subject: name, facts: factsOf(answer) } as const;
  if (failed === undefined) {
    const status = answered ? ` (HTTP ${attempt.status})` : '';
    return {
      ...base,
      level: 'ok',
      found: `${endpoint} has acknowledged the record ${uid} in ${took}${status}`,
    };
  }
  const afterMs = judgement?.kind === 'retry' ? judgement.afterMs : undefined;
  const asked = afterMs === undefined ? '' : `; it asks for ${timeText(afterMs)} of patience (Retry-After)`;
  const found = `${judgement?.kind === 'retry' || judgement?.kind === 'refused' ? judgement.text : failed.message} (${took}${asked})`;
  const advice =
    named === undefined
      ? undefined
      : `Where this names OTEL_EXPORTER_OTLP_*, it is exporters.otlp.endpoints.${name} of verdict.yaml that counts`;
  // What passes by itself is worth a second try, and nothing else is.
  const passes = judgement?.kind === 'retry' && !judgement.alarm;
  return { ...base, level: 'fail', found, advice, exit: passes ? 4 : 1 };
}

function factsOf({ endpoint, uid, judgement, attempt, elapsedMs }: EndpointAnswer): Facts {
  const afterMs = judgement?.kind === 'retry' ? judgement.afterMs : undefined;
  return {
    endpoint,
    uid,
    elapsed_ms: Math.round(elapsedMs),
    ...(judgement && { judgement: judgement.kind }),
    ...(attempt &&
      'status' in attempt && { status: attempt.status, content_type: attempt.headers['content-type'] ?? '' }),
    ...(afterMs !== undefined && { retry_after_ms: afterMs }),
  };
}
