/** What the system knows of other processes; Linux only, from /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Linux shows CPU time in hundredths of a second whatever the kernel counts in. */
const TICK_US = 10_000;
/** Fields of /proc/PID/stat after the command's name (proc_pid_stat(5): 4 and 14 to 17 of all). */
const PARENT = 1;
const UTIME = 11;
const STIME = 12;
const CHILDREN_UTIME = 13;
const CHILDREN_STIME = 14;

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of all its threads so far, microseconds. */
  readonly cpuUs: number;
  /** The same of its children that have ended and were waited for. */
  readonly endedChildrenCpuUs: number;
}

/** Undefined where there is no such process any more. */
export function processFacts(pid: number): ProcessFacts | undefined {
  const stat = readProcess(pid, 'stat');
  if (stat === undefined) return undefined;
  // The name may hold blanks and brackets; nothing after it does.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (index: number): number => Number(fields[index]);
  return {
    pid,
    parent: field(PARENT),
    cpuUs: (field(UTIME) + field(STIME)) * TICK_US,
    endedChildrenCpuUs: (field(CHILDREN_UTIME) + field(CHILDREN_STIME)) * TICK_US,
  };
}

/** A process and all that it has started, directly or not, as far as they run and have not been given away. */
export function familyOf(pid: number): ProcessFacts[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processFacts(Number(name)) ?? []);
  const family = all.filter((one) => one.pid === pid);
  // Grows while it is walked.
  for (const { pid: parent } of family) family.push(...all.filter((one) => one.parent === parent));
  return family;
}

/** What a process's descriptors stand for: paths, `socket:[INODE]`, `pipe:[INODE]`. */
export function openFilesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${name}`)];
    } catch {
      // Closed in the meantime.
      return [];
    }
  });
}

/** Processes, whoever is their parent by now, in whose environment `mark` stands, `NAME=VALUE`. */
export function markedProcesses(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readProcess(pid, 'environ')?.split('\0').includes(mark) ?? false);
}

/** @param name of a file of /proc/PID */
function readProcess(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return undefined;
  }
}
