/** Files that people write, as messages name them. */
import { relative } from 'node:path';
import { formatFault, type Fault } from '../document.ts';

/** A file as people write it: relative to where they stand, unless it lies elsewhere. */
export function shownPath(file: string, cwd: string): string {
  const path = relative(cwd, file);
  return path.startsWith('..') ? file : path;
}

/** One a line. */
export function listFaults(faults: readonly Fault[]): string {
  return faults.map(formatFault).join('\n');
}
