/** Whether something is held on to. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects garbage, and tells whether the value that was made is still held by anybody. */
export async function isHeld(made: WeakRef<object>): Promise<boolean> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // What a WeakRef was asked for stays until the turn is over.
  await setImmediate();
  collect();
  return made.deref() !== undefined;
}
