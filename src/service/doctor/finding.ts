/** What `doctor` found: as data, as lines, as an exit code. Pure. */

export const CHECKS = [
  'config',
  'policy',
  'pins',
  'keys',
  'kill',
  'listen',
  'spool',
  'upstream',
  'endpoint',
  'collector',
  'clock',
  'loss',
] as const;

export type Check = (typeof CHECKS)[number];

/** For programs; times in milliseconds, sizes in bytes. */
export type Facts = Readonly<Record<string, string | number | boolean>>;

export interface Finding {
  readonly check: Check;
  /** Which of several: a file, a server, an exporter. */
  readonly subject?: string | undefined;
  readonly level: 'ok' | 'warn' | 'fail';
  /** A sentence without a full stop. */
  readonly found: string;
  /** What to do about it; a sentence without a full stop. */
  readonly advice?: string | undefined;
  /** Of a failure: 1 it is bad, 3 config, policy or keys are invalid, 4 it cannot be reached now. Default: 1. */
  readonly exit?: 1 | 3 | 4 | undefined;
  readonly facts?: Facts | undefined;
}

const LEVEL_WIDTH = 'warn'.length;
const CHECK_WIDTH = Math.max(...CHECKS.map((check) => check.length));

/** One line. Holds text of others: escape it. */
export function findingLine({ level, check, subject, found, advice }: Finding): string {
  const about = subject === undefined ? '' : `${subject}: `;
  const todo = advice === undefined ? '' : `. ${advice}`;
  const text = `${level.padEnd(LEVEL_WIDTH)}  ${check.padEnd(CHECK_WIDTH)}  ${about}${found}${todo}`;
  return text.replaceAll(/\s*\n\s*/g, '; ');
}

/** The last line. */
export function summaryLine(findings: readonly Finding[]): string {
  const { fail, warn, ok } = countsOf(findings);
  return `${fail === 0 ? 'No failure' : `${fail} FAILED`}, ${warn} to look at, ${ok} good.`;
}

/**
 * Of several failures the one that waiting does not mend: an invalid config (3) before what is bad (1) before what
 * cannot be reached now (4). Warnings are no failures.
 */
export function exitOf(findings: readonly Finding[]): 0 | 1 | 3 | 4 {
  const exits = new Set(findings.filter(({ level }) => level === 'fail').map(({ exit }) => exit ?? 1));
  return ([3, 1, 4] as const).find((exit) => exits.has(exit)) ?? 0;
}

/** Ready for JSON.stringify. */
export function doctorReport(findings: readonly Finding[]): object {
  const exit = exitOf(findings);
  return {
    ok: exit === 0,
    exit,
    counts: countsOf(findings),
    findings: findings.map(({ check, subject, level, found, advice, exit, facts }) => ({
      check,
      subject,
      level,
      found,
      advice,
      exit: level === 'fail' ? (exit ?? 1) : undefined,
      facts,
    })),
  };
}

function countsOf(findings: readonly Finding[]): Readonly<Record<Finding['level'], number>> {
  const count = (level: Finding['level']): number => findings.filter((one) => one.level === level).length;
  return { ok: count('ok'), warn: count('warn'), fail: count('fail') };
}
