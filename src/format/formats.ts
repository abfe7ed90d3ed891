/** The table of formats: configuration, command line and exporters all choose from it. */
import { cefFormat } from './cef.ts';
import { jsonFormat } from './json.ts';
import { ocsfFormat } from './ocsf.ts';
import { otlpJsonFormat } from './otlp-json.ts';
import type { Format } from './record.ts';

export const FORMATS: readonly Format[] = [jsonFormat, otlpJsonFormat, cefFormat, ocsfFormat];

export const FORMAT_NAMES: readonly string[] = FORMATS.map(({ name }) => name);

/** undefined for a name that is none. */
export function formatNamed(name: string): Format | undefined {
  return FORMATS.find((format) => format.name === name);
}
