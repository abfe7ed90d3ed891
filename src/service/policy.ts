/** The policy in force, from its files. */
import { readTextFile, type ReadText } from '../config/text-file.ts';
import { formatFault } from '../document.ts';
import { VerdictError } from '../errors.ts';
import { lintPolicy, methodFaults } from '../policy/lint.ts';
import { loadPolicy } from '../policy/load.ts';
import type { Policy } from '../policy/policy.ts';
import { METHODS } from '../proxy/message/methods.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { listFaults, shownPath } from './files.ts';

/** Reads the policy files; throws `policy_invalid` with every fault, one a line, and warns of what looks wrong. */
export function readPolicy(
  files: readonly string[],
  cwd: string,
  diagnostics: Diagnostics,
  read: ReadText = readTextFile,
): Policy {
  const loaded = loadPolicy(files.map((file) => ({ file: shownPath(file, cwd), text: read(file) })));
  if (!loaded.ok) throw new VerdictError('policy_invalid', { detail: listFaults(loaded.faults) });
  const { policy, place } = loaded;
  // A rule for a method that does not exist never matches: a misspelt deny would be no deny at all.
  const faults = methodFaults(policy, place, KNOWN_METHODS);
  if (faults.length > 0) throw new VerdictError('policy_invalid', { detail: listFaults(faults) });
  for (const fault of lintPolicy(policy, place)) diagnostics.warn(formatFault(fault));
  return policy;
}

const KNOWN_METHODS: readonly string[] = [...new Set(METHODS.map(({ method }) => method))];
