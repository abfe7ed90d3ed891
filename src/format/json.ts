/** Format `json`: the body itself, which is one line already. */
import type { Format } from './record.ts';

export const jsonFormat: Format = {
  name: 'json',
  contentType: 'application/json',
  fileExtension: 'jsonl',
  carriesBody: true,
  encode: ({ body }) => body,
};
