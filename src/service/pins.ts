/** The pinned tools in force, from tools.lock.json, and what becomes of a tool that is not as it is pinned. */
import type { PinsConfig } from '../config/pins.ts';
import { readTextFile, type ReadText } from '../config/text-file.ts';
import { VerdictError } from '../errors.ts';
import type { Recorder } from '../event/recorder.ts';
import { changeLine, changeRecord } from '../proxy/pins/change-record.ts';
import { loadLock, NO_LOCK, type ToolLock } from '../proxy/pins/lock.ts';
import { createToolPins, type Pinning, type ToolPins } from '../proxy/pins/pins.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';
import { listFaults, shownPath } from './files.ts';

/**
 * Reads the lock file, where some server's tools are compared with it; warns of what looks wrong.
 * Throws `config_invalid` with every fault and what to run: nobody must believe tools pinned that are not.
 */
export function readPinning(
  { file, modes }: PinsConfig,
  cwd: string,
  diagnostics: Diagnostics,
  read: ReadText = readTextFile,
): Pinning {
  const mode = (server: string) => modes.get(server) ?? 'off';
  if ([...modes.values()].every((one) => one === 'off')) return { lock: NO_LOCK, mode };
  const lock = readLock(file, cwd, read);
  for (const [server, one] of modes) {
    if (one === 'off' || (lock.get(server)?.size ?? 0) > 0) continue;
    const then =
      one === 'strict' ? 'all of its tools are hidden and denied' : 'each of its tools is recorded';
    diagnostics.warn(`${shownPath(file, cwd)} has no tools of the server ${server}: ${then}`);
  }
  return { lock, mode };
}

/** Throws `config_invalid`. */
export function readLock(file: string, cwd: string, read: ReadText = readTextFile): ToolLock {
  const shown = shownPath(file, cwd);
  let text: string;
  try {
    text = read(file);
  } catch (error) {
    if (!(error instanceof VerdictError)) throw error;
    throw new VerdictError('config_invalid', {
      detail: `${shown} cannot be read: ${error.details['detail']}.\n${MISSING_HINT}`,
    });
  }
  const loaded = loadLock(shown, text);
  if (loaded.ok) return loaded.lock;
  throw new VerdictError('config_invalid', { detail: `${listFaults(loaded.faults)}\n${FAULT_HINT}` });
}

const MISSING_HINT = 'Tools are pinned with: mcp-verdict tools lock';
const FAULT_HINT = 'Restore it, or remove it and pin the tools anew with: mcp-verdict tools lock';

/** @param pinning in force now */
export function openPins(
  pinning: () => Pinning,
  { recorder, diagnostics }: { readonly recorder: Recorder; readonly diagnostics: Diagnostics },
): ToolPins {
  return createToolPins({
    pinning,
    nowMs: Date.now,
    changed(change) {
      recorder.emit(changeRecord(change));
      diagnostics.warn(changeLine(change));
    },
  });
}
