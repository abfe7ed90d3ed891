/** From what `records verify` misses to the commands that send it again. */
import type { VerifyReport } from '../event/verify-report.ts';
import { isStreamId } from '../spool/segment.ts';

/** More are not printed: after so many it is time to verify again, or something filters. */
export const COMMANDS_MAX = 20;

/** What to say after a report: nothing where nothing can be sent again. */
export function healingLines({ findings }: VerifyReport): string[] {
  // Where a destination gets only some kinds of records, its holes are its purpose.
  const filtered = new Set(findings.flatMap(({ kind, stream }) => (kind === 'filtered' ? [stream] : [])));
  const commands = findings.flatMap(({ kind, stream = '', range }) => {
    if ((kind !== 'missing' && kind !== 'absent') || range === undefined) return [];
    // Whoever could write records has written the id of their stream, and people paste these lines into a shell.
    if (!isStreamId(stream) || filtered.has(stream)) return [];
    const { from, to } = range;
    return [`  mcp-verdict records replay --stream ${stream} --from ${from} --to ${to} --exporter otlp`];
  });
  if (commands.length === 0) return [];
  const more = commands.length - COMMANDS_MAX;
  return [
    'To send again what is missing, on the machine that recorded it (otlp is what OTEL_EXPORTER_OTLP_* say; for an exporter of verdict.yaml: --exporter NAME --config verdict.yaml):',
    ...commands.slice(0, COMMANDS_MAX),
    ...(more > 0 ? [`  and ${more} more: verify again after these`] : []),
  ];
}
