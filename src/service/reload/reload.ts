/** Takes changes of files over while the process runs: with one assignment, with a record, with a word on stderr. */
import { lookAtFile, lookAtFileNow, type ReadText } from '../../config/text-file.ts';
import type { Fields, LifecycleState } from '../../event/vocabulary.ts';
import type { Policy } from '../../policy/policy.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { unhurried, watchFiles, type FileWatch } from './file-watch.ts';
import { createReloader } from './reloader.ts';

export interface ReloadOptions<T extends { readonly policy: Policy }> {
  /** Files that are always read. */
  readonly roots: readonly string[];
  readonly watchMs: number | 'off';
  /** @param reading told of what looks wrong */
  readonly load: (read: ReadText, reading: Diagnostics) => T;
  /** What of it is not in force yet, by its name in verdict.yaml. */
  readonly changes: (next: T) => readonly string[];
  /** Puts it in force, and does nothing else. */
  readonly put: (next: T) => void;
  /** Tells whoever has to know that something else is in force. */
  readonly tell: () => void;
  /** Records a change of state. */
  readonly lifecycle: (state: LifecycleState, facts: Fields) => void;
  readonly diagnostics: Diagnostics;
}

export function startReloading<T extends { readonly policy: Policy }>(options: ReloadOptions<T>): FileWatch {
  const { roots, watchMs, load, changes, put, tell, lifecycle, diagnostics } = options;
  let refused = false;
  const reloader = createReloader<{ readonly next: T; readonly warnings: readonly string[] }>({
    roots,
    lookAt: lookAtFile,
    firstLookAt: lookAtFileNow,
    load(read) {
      const warnings: string[] = [];
      const warn = (text: string): void => void warnings.push(text);
      const next = load(read, { error: warn, warn, info: () => {}, debug: () => {} });
      return { next, warnings };
    },
    take({ next, warnings }, asked) {
      const changed = changes(next);
      const again = refused;
      refused = false;
      if (changed.length > 0) {
        put(next);
        // Before anything is decided by it: in the stream, this record parts what one policy decided from the rest.
        lifecycle('reload', reloadFacts(next.policy, changed));
        tell();
        diagnostics.info(`reloaded: ${changed.join(', ')}; the policy in force is ${next.policy.digest}`);
      } else if (asked) diagnostics.info('reload: nothing has changed');
      else if (again) diagnostics.info('the files are good again, and say what is in force');
      else return;
      for (const warning of warnings) diagnostics.warn(warning);
    },
    refuse(error) {
      refused = true;
      lifecycle('reload_failed', { 'verdict.lifecycle.message': error.message });
      diagnostics.error(`not reloaded, what was in force stays in force: ${error.message}`);
    },
  });
  const failed = (error: unknown): void => diagnostics.error(`a reload failed inside: ${String(error)}`);
  return watchFiles({ reloader, everyMs: watchMs === 'off' ? undefined : watchMs, after: unhurried, failed });
}

function reloadFacts({ files }: Policy, changed: readonly string[]): Fields {
  const [first, ...others] = files;
  const named = files.map(({ name, version, file }) => `${[name, version].join(' ').trim()} (${file})`);
  return {
    'verdict.lifecycle.changed': changed,
    'verdict.lifecycle.message': `The policy in force is ${named.join(', ')}.`,
    // The rows are of one file.
    ...(first === undefined || others.length > 0
      ? {}
      : {
          'verdict.policy.name': first.name,
          'verdict.policy.file': first.file,
          'verdict.policy.version': first.version,
        }),
  };
}
