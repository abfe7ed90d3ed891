/**
 * Where the OpenTelemetry SDK speaks: its diag logger and its global error handler, both led to our diagnostics.
 * Without it most failures of the SDK are silent, and its own console logger writes to stdout, which is the wire.
 */
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { setGlobalErrorHandler } from '@opentelemetry/core';
import type { Diagnostics } from './diagnostics.ts';
import { createThrottle } from './throttle.ts';
import type { Throttle } from './throttle.ts';

export interface SdkDiagnostics {
  /** Says the same thing once a minute only. */
  readonly throttle: Throttle;
  /** The error has been explained: the SDK's own report of it is not repeated. */
  silence(error: unknown): void;
  /**
   * How many log records the answer now being handled did not take; Infinity where the answer is not OTLP at all.
   * OTLPLogExporter calls both a success, and says so to the diag logger only, in the same turn as its callback.
   */
  takeRejected(): number;
}

let current: { readonly diagnostics: Diagnostics; readonly sdk: SdkDiagnostics } | undefined;

/** Leads the SDK's voice, which is global to the process, to these diagnostics. */
export function routeSdkDiagnostics(diagnostics: Diagnostics): SdkDiagnostics {
  if (current?.diagnostics === diagnostics) return current.sdk;
  const throttle = createThrottle(diagnostics);
  const silenced = new WeakSet();
  let rejected = 0;

  const say =
    (level: keyof Diagnostics) =>
    (...parts: readonly unknown[]): void => {
      const text = sentence(parts);
      // Numbers and ids change from one report of a fault to the next.
      throttle.say(level, `sdk ${text.replace(/\d+/g, '#')}`, text);
    };

  const warn = (...parts: readonly unknown[]): void => {
    const answer = readAnswer(parts);
    if (answer === undefined) return say('warn')(...parts);
    rejected = answer.rejected;
    // An answer of another signal is never taken: it must not count against a later one of ours.
    queueMicrotask(() => (rejected = 0));
    throttle.say('warn', answer.text.replace(/\d+/g, '#'), answer.text);
  };

  diag.setLogger(
    { error: say('error'), warn, info: say('debug'), debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.INFO, suppressOverrideMessage: true },
  );
  setGlobalErrorHandler((error) => {
    if (typeof error === 'object' && silenced.has(error)) return;
    const text = typeof error === 'string' ? error : (error.message ?? error.name ?? 'unknown error');
    // The reader wraps the error that has been explained into a new one.
    if (text.startsWith('PeriodicExportingMetricReader: metrics export failed')) return;
    say('error')(text === 'Timeout' ? EXPORT_TIMEOUT_TEXT : text);
  });

  const sdk: SdkDiagnostics = {
    throttle,
    silence(error) {
      if (typeof error === 'object' && error !== null) silenced.add(error);
    },
    takeRejected() {
      const taken = rejected;
      rejected = 0;
      return taken;
    },
  };
  current = { diagnostics, sdk };
  return sdk;
}

const EXPORT_TIMEOUT_TEXT =
  'an export takes longer than OTEL_BLRP_EXPORT_TIMEOUT or OTEL_BSP_EXPORT_TIMEOUT allows';

/** Objects may hold records or bodies, so only texts and errors are said. */
function sentence(parts: readonly unknown[]): string {
  const texts = parts.flatMap((part) => {
    if (typeof part === 'string') return [part];
    return part instanceof Error ? [part.message] : [];
  });
  return `OpenTelemetry SDK: ${texts.join(' ')}`;
}

interface Answer {
  readonly rejected: number;
  readonly text: string;
}

const NOT_OTLP = /^(Failed to parse \w+ export response|Export succeeded but could not deserialize response)/;

/** What the SDK says of an answer with a 2xx status that is not the plain success it is taken for. */
function readAnswer(parts: readonly unknown[]): Answer | undefined {
  const texts = parts.filter((part) => typeof part === 'string');
  if (texts.some((text) => NOT_OTLP.test(text))) {
    const text =
      'the answer to an export is not OTLP, so it counts as lost: is the endpoint a collector, or a proxy with a page of its own?';
    return { rejected: Infinity, text };
  }
  const at = texts.findIndex((text) => text.startsWith('Received Partial Success'));
  if (at === -1) return undefined;
  const detail = texts[at + 1] ?? '';
  return {
    rejected: rejectedLogRecords(detail),
    text: `the collector does not take all of an export: ${detail}`,
  };
}

/** JSON writes int64 as text or as a number (protobuf, JSON mapping). */
function rejectedLogRecords(detail: string): number {
  try {
    const answer: unknown = JSON.parse(detail);
    if (typeof answer !== 'object' || answer === null || !('rejectedLogRecords' in answer)) return 0;
    return Math.max(0, Number(answer.rejectedLogRecords) || 0);
  } catch {
    return 0;
  }
}
