/** What the long-running verbs take from the process: signals and a voice. */
import { VerdictError } from '../errors.ts';
import { LEVELS, stderrDiagnostics, type Diagnostics, type Level } from '../telemetry/diagnostics.ts';
import type { Io } from './verb.ts';

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/**
 * Aborted on the first of these signals. The next one ends the process at once, for whoever cannot wait.
 * @param hurry aborted in between, on the second signal, by who still has something to end then
 */
export function stopSignal(names = STOP_SIGNALS, hurry?: AbortController): AbortSignal {
  const stages = [new AbortController(), ...(hurry === undefined ? [] : [hurry])] as const;
  for (const name of names) {
    process.on(name, () => {
      const next = stages.find(({ signal }) => !signal.aborted);
      if (next === undefined) process.exit(1);
      next.abort(name);
    });
  }
  return stages[0].signal;
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
