import { readFileSync } from 'node:fs';
import { VerdictError } from '../errors.ts';

/**
 * The text of a PEM file.
 * @throws VerdictError config_invalid where it cannot be read or is none
 */
export function readPem(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`${path} cannot be read`, error);
  }
  if (!pem.includes('-----BEGIN ')) throw invalid(`${path} is not a PEM file`);
  return pem;
}

function invalid(detail: string, cause?: unknown): VerdictError {
  return new VerdictError('config_invalid', { detail }, { cause });
}
