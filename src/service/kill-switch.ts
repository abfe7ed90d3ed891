/**
 * The kill switch of a process, from the file that an operator throws it with. The file is looked at again and again,
 * and not when a message comes: a message must not wait for a disk. What is there and cannot be read stops everything:
 * whoever has written it wanted to stop something.
 */
import { lstatSync, readFileSync, statSync, type BigIntStats } from 'node:fs';
import { formatFault } from '../document.ts';
import type { Fields, LifecycleState } from '../event/vocabulary.ts';
import {
  isOver,
  isSameTarget,
  killOf,
  loadKills,
  reasonedText,
  targetText,
  type Kill,
} from '../policy/kills.ts';
import type { KillSwitch } from '../proxy/kill-switch.ts';
import type { Diagnostics } from '../telemetry/diagnostics.ts';

/** Nobody who throws the switch waits for longer; a look costs one stat(2) as long as nothing has changed. */
export const KILL_LOOK_MS = 1_000;
/** An editor that writes in place leaves the file empty for a moment. Half of a good file is looked at again so soon. */
export const KILL_SECOND_LOOK_MS = 100;
/** Bytes of the file. */
export const KILL_BYTES_MAX = 1024 * 1024;

export interface KillSwitchOptions {
  readonly file: string;
  readonly nowMs: () => number;
  /** Records a change of state. */
  readonly lifecycle: (state: LifecycleState, facts: Fields) => void;
  readonly diagnostics: Diagnostics;
}

export interface WatchedKillSwitch extends KillSwitch {
  /** What is in force. */
  kills(): readonly Kill[];
  /** Looks at the file. @returns when the next look is due, in milliseconds */
  look(): number;
}

/** What is in the file, or why that cannot be told. */
type Found =
  | { readonly kind: 'kills'; readonly kills: readonly Kill[] }
  | { readonly kind: 'unreadable'; readonly why: string };

/** Looks once at once. */
export function createKillSwitch(options: KillSwitchOptions): WatchedKillSwitch {
  const { file, nowMs, lifecycle, diagnostics } = options;
  const listeners = new Set<() => void>();
  let seen: string | undefined;
  let written: readonly Kill[] = [];
  let inForce: readonly Kill[] = [];
  let doubtful = false;

  const apply = (): void => {
    const before = inForce;
    inForce = written.filter((kill) => !isOver(kill, nowMs()));
    const lifted = before.filter((kill) => !inForce.some((other) => isSameTarget(kill, other)));
    const thrown = inForce.filter((kill) => !before.some((other) => isSame(kill, other)));
    for (const kill of lifted) {
      const over = isOver(kill, nowMs());
      const text = `${targetText(kill)}${over ? ', whose time is over' : ''}`;
      lifecycle('lifted', factsOf(kill, `It no longer stops ${text}.`));
      diagnostics.warn(`the kill switch is lifted for ${text}`);
    }
    for (const kill of thrown) {
      const text = reasonedText(kill);
      lifecycle('killed', factsOf(kill, `It stops ${text}.`));
      diagnostics.error(`the kill switch is thrown for ${text} (${file})`);
    }
    if (thrown.length > 0) for (const listener of listeners) listener();
  };

  const look = (first: boolean): number => {
    const now = stateOf(file);
    if (now !== seen || doubtful) {
      const found = now === MISSING ? NOTHING : readKills(file);
      const isBad = found.kind === 'unreadable';
      if (isBad && !doubtful && !first) {
        doubtful = true;
        return KILL_SECOND_LOOK_MS;
      }
      doubtful = false;
      // What could not be read may be readable soon with nothing of its stat changed: a network file system fails.
      seen = isBad ? undefined : now;
      written = isBad ? [{ scope: 'all', reason: found.why }] : found.kills;
    }
    apply();
    return KILL_LOOK_MS;
  };

  look(true);
  return {
    killOf: (subject) => killOf(inForce, subject, nowMs()),
    onKill(listener) {
      // Its own entry, so that whoever asks twice has to leave twice.
      const entry = (): void => listener();
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    kills: () => inForce,
    look: () => look(false),
  };
}

export interface OpenKillSwitch extends WatchedKillSwitch {
  /** Looks no more. */
  stop(): void;
}

/** Looks on at the file until it is stopped. */
export function openKillSwitch(options: Omit<KillSwitchOptions, 'nowMs'>): OpenKillSwitch {
  const killSwitch = createKillSwitch({ ...options, nowMs: Date.now });
  let timer: NodeJS.Timeout;
  const look = (): void => {
    let nextMs = KILL_LOOK_MS;
    try {
      nextMs = killSwitch.look();
    } catch (error) {
      options.diagnostics.error(`a look at the kill switch failed inside: ${String(error)}`);
    }
    next(nextMs);
  };
  const next = (delayMs: number): void => {
    timer = setTimeout(look, delayMs).unref();
  };
  next(KILL_LOOK_MS);
  return { ...killSwitch, stop: () => clearTimeout(timer) };
}

const MISSING = 'missing';
const NOTHING: Found = { kind: 'kills', kills: [] };

/** Equal for a file that nobody has touched; ENOENT alone says that there is none. */
function stateOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs }: BigIntStats = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return isMissing(file, error) ? MISSING : `unreadable ${codeOf(error)}`;
  }
}

/** Whether nobody has put anything there: a link that leads nowhere was put there by somebody. */
function isMissing(file: string, error: unknown): boolean {
  return codeOf(error) === 'ENOENT' && lstatSync(file, { throwIfNoEntry: false }) === undefined;
}

/** What a file says; nothing, where there is none. */
export function readKills(file: string): Found {
  try {
    const found = statSync(file);
    // A pipe would hold up the whole process until somebody writes to it.
    if (!found.isFile()) return unreadable(file, 'it is no plain file');
    if (found.size > KILL_BYTES_MAX) return unreadable(file, `it is larger than ${KILL_BYTES_MAX} bytes`);
    const loaded = loadKills(file, readFileSync(file, 'utf8'));
    if (loaded.ok) return { kind: 'kills', kills: loaded.kills };
    const [fault] = loaded.faults;
    return { kind: 'unreadable', why: fault === undefined ? `${file} is invalid` : formatFault(fault) };
  } catch (error) {
    return isMissing(file, error) ? NOTHING : unreadable(file, codeOf(error));
  }
}

function unreadable(file: string, why: string): Found {
  return { kind: 'unreadable', why: `${file} cannot be read: ${why}` };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function isSame(a: Kill, b: Kill): boolean {
  return isSameTarget(a, b) && a.reason === b.reason && a.until === b.until && a.by === b.by;
}

function factsOf({ scope, id, issuer, reason, until, by }: Kill, message: string): Fields {
  return {
    'verdict.lifecycle.message': message,
    'verdict.kill.scope': scope,
    'verdict.kill.id': id,
    'verdict.kill.issuer': issuer,
    'verdict.kill.reason': reason,
    'verdict.kill.until': until,
    'verdict.kill.by': by,
  };
}
