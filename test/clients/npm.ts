/** Where the programs are that programs/package.json names. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNpmPrograms } from '../support/npm-programs.ts';

const FOLDER = fileURLToPath(new URL('programs', import.meta.url));

/** @returns their node_modules; throws BuildError where they cannot be had */
export const findClientPrograms = (): string => findNpmPrograms(FOLDER);

export const npmProgram = (path: string): string => join(findClientPrograms(), path);
