/** CPU time of another process: unlike a wall time, it says the same on a machine that is busy with something else. */
import { familyOf, processFacts } from '../support/processes.ts';

/** User and system time of all threads so far, microseconds; NaN where the system does not tell. */
export function cpuUsOf(pid: number | undefined): number {
  if (pid === undefined || process.platform !== 'linux') return Number.NaN;
  return processFacts(pid)?.cpuUs ?? Number.NaN;
}

/** The same with all that the process has started. */
export function familyCpuUsOf(pid: number | undefined): number {
  if (pid === undefined || process.platform !== 'linux') return Number.NaN;
  return familyOf(pid).reduce((sum, { cpuUs, endedChildrenCpuUs }) => sum + cpuUs + endedChildrenCpuUs, 0);
}
