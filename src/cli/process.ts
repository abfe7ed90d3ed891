/** What the long-running verbs take from the process: signals and a voice. */
import { VerdictError } from '../errors.ts';
import { LEVELS, stderrDiagnostics, type Diagnostics, type Level } from '../telemetry/diagnostics.ts';
import type { Io } from './verb.ts';

/** Aborted on the first of these signals. A second one ends the process at once, for whoever cannot wait. */
export function stopSignal(names: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP']): AbortSignal {
  const controller = new AbortController();
  for (const name of names) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1);
      controller.abort(name);
    });
  }
  return controller.signal;
}

/** @param given `--log-level`; before it comes OTEL_LOG_LEVEL, after both the verb's own default */
export function diagnosticsFor(io: Io, given: string | undefined, fallback: Level): Diagnostics {
  const wanted = given ?? io.env['OTEL_LOG_LEVEL']?.toLowerCase();
  const level = LEVELS.find((candidate) => candidate === wanted);
  if (given !== undefined && level === undefined) {
    throw new VerdictError('usage', { detail: `--log-level must be one of ${LEVELS.join(', ')}` });
  }
  return stderrDiagnostics(level ?? fallback, (line) => void io.stderr.write(line));
}
