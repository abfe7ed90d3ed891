/** Resident memory of another process, from the system; Linux only. */
import { readFileSync } from 'node:fs';

export interface Memory {
  readonly nowBytes: number;
  /** The most that it ever was. */
  readonly peakBytes: number;
}

export function memoryOf(pid: number | undefined): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return { nowBytes: field(status, 'VmRSS'), peakBytes: field(status, 'VmHWM') };
}

function field(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}

export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
