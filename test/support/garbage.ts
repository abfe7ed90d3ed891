/** Whether something is held on to. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects garbage, and tells whether the value that was made is still held by anybody. */
export async function isHeld(made: WeakRef<object>): Promise<boolean> {
  // What a WeakRef was asked for stays until the turn is over.
  await setImmediate();
  collect();
  return made.deref() !== undefined;
}

/** Characters of a text that is large beside all that is rightly kept of what it stands in. */
export const LARGE_CHARS = 1_000_000;

/**
 * Whether what is made of texts of LARGE_CHARS characters holds them: a part of a text is a view of all of it in V8,
 * and a WeakRef to a text there is not.
 * @param make makes one value of a text of its own
 */
export async function holdsTexts(make: (text: string) => unknown): Promise<boolean> {
  const textOf = (index: number): string => Buffer.alloc(LARGE_CHARS, `${index} `).toString('latin1');
  // What is made once, and kept for all.
  await make(textOf(0));
  await setImmediate();
  collect();
  const before = process.memoryUsage().heapUsed;
  const made: unknown[] = [];
  for (let index = 1; index <= TEXTS; index += 1) made.push(await make(textOf(index)));
  await setImmediate();
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  return made.length === TEXTS && grown > (TEXTS * LARGE_CHARS) / 2;
}

const TEXTS = 8;

function collect(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
