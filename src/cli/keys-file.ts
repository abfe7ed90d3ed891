/** Adds keys to a keys file, also while another process does. */
import { parseDocument } from 'yaml';
import { formatFault } from '../document.ts';
import { VerdictError } from '../errors.ts';
import { loadApiKeys, type ApiKeyEntry } from '../identity/api-keys.ts';
import { updateFile, type NamedFile } from './update-file.ts';

const FILE_MODE = 0o600;

const EMPTY = 'apiVersion: mcp-verdict/v1\nkind: ApiKeys\nkeys: []\n';

/**
 * Adds an entry; makes the file where there is none. Throws config_invalid with every fault where the file is no
 * keys file or cannot be written, and leaves it as it was.
 */
export function addKey(file: NamedFile, entry: ApiKeyEntry, waitMs?: number): Promise<void> {
  return updateFile(file, { mode: FILE_MODE, waitMs }, (before = EMPTY) => {
    check(file, before);
    // Comments stay.
    const document = parseDocument(before);
    document.addIn(['keys'], document.createNode(entry));
    const after = document.toString();
    check(file, after);
    return after;
  });
}

function check({ shown }: NamedFile, text: string): void {
  const loaded = loadApiKeys(shown, text);
  if (loaded.ok) return;
  throw new VerdictError('config_invalid', { detail: loaded.faults.map(formatFault).join('\n') });
}
