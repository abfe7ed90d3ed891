/** What messages are decided by, from its files: policy, and the tools that are pinned. */
import type { PinsConfig } from '../../config/pins.ts';
import type { ReadText } from '../../config/text-file.ts';
import type { Policy } from '../../policy/policy.ts';
import type { Pinning } from '../../proxy/pins/pins.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { readPinning } from '../pins.ts';
import { readPolicy } from '../policy.ts';
import { isSame } from './same.ts';

export interface Rules {
  readonly policy: Policy;
  readonly pins: PinsConfig;
  readonly pinning: Pinning;
}

export interface ReadOptions {
  readonly cwd: string;
  /** Told of what looks wrong. */
  readonly reading: Diagnostics;
  readonly read?: ReadText | undefined;
}

/** Throws where anything of them is wrong. */
export function readRules(
  { policyFiles, pins }: { readonly policyFiles: readonly string[]; readonly pins: PinsConfig },
  { cwd, reading, read }: ReadOptions,
): Rules {
  const policy = readPolicy(policyFiles, cwd, reading, read);
  return { policy, pins, pinning: readPinning(pins, cwd, reading, read) };
}

/** What differs, by its name in verdict.yaml. */
export function ruleChanges(before: Rules, next: Rules): ('policy' | 'pins')[] {
  const policyOf = ({ policy }: Rules) => [policy.digest, policy.files];
  return [
    ...(isSame(policyOf(before), policyOf(next)) ? [] : ['policy' as const]),
    ...(isSame(pinsOf(before), pinsOf(next)) ? [] : ['pins' as const]),
  ];
}

/** What takes part in a decision. A definition is told by its digest. */
function pinsOf({ pins, pinning }: Rules): unknown {
  const modes = [...pins.modes].filter(([, mode]) => mode !== 'off');
  const tools = [...pinning.lock].map(([server, pinned]) => [
    server,
    [...pinned].map(([tool, definitions]) => [tool, definitions.map(({ digest }) => digest)]),
  ]);
  return [modes, tools];
}
