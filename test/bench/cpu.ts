/** CPU time of another process: unlike a wall time, it says the same on a machine that is busy with something else. */
import { readFileSync } from 'node:fs';

/** Of utime and stime in /proc/PID/stat; Linux shows them in hundredths of a second whatever the kernel counts in. */
const TICK_US = 10_000;
/** Fields of /proc/PID/stat after the command's name (proc_pid_stat(5): fields 14 and 15 of all). */
const UTIME = 11;
const STIME = 12;

/** User and system time of all threads so far, microseconds; NaN where the system does not tell. */
export function cpuUsOf(pid: number | undefined): number {
  if (pid === undefined || process.platform !== 'linux') return Number.NaN;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name may hold blanks and brackets; nothing after it does.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[UTIME]) + Number(fields[STIME])) * TICK_US;
}
