/**
 * The CEL engine, which is a third of what a proxy has to load: loaded when there is a condition, which many policies
 * have not. Synchronously, as policy is read and evaluated.
 */
import { createRequire } from 'node:module';
import type * as Engine from '@bufbuild/cel';

let loaded: typeof Engine | undefined;

export function celEngine(): typeof Engine {
  loaded ??= createRequire(import.meta.url)('@bufbuild/cel') as typeof Engine;
  return loaded;
}
