/** The files that a start reads: policy, keys, callers. Nothing is made here that is missing. */
import { lstatSync, type Stats } from 'node:fs';
import { join, relative } from 'node:path';
import type { Environment } from '../../config.ts';
import { VerdictError } from '../../errors.ts';
import { HMAC_KEY_ENV, HMAC_KEY_FILE, loadHmacKey } from '../../event/keyring.ts';
import { loadSigningKey, SIGNING_KEY_ENV, SIGNING_KEY_FILE } from '../../event/signing.ts';
import { isOver, reasonedText } from '../../policy/kills.ts';
import { readCallers } from '../callers.ts';
import { readKills } from '../kill-switch.ts';
import { readPinning } from '../pins.ts';
import { readPolicy } from '../policy.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import type { Check, Finding } from './finding.ts';
import { countText } from './quantities.ts';
import type { Setup } from './setup.ts';

export interface FileOptions {
  readonly setup: Setup;
  readonly env: Environment;
  readonly cwd: string;
}

export function findFiles(options: FileOptions): Finding[] {
  return [
    ...findPolicy(options),
    ...findPins(options),
    ...findCallers(options),
    ...findKeys(options),
    ...findKills(options),
  ];
}

/** What somebody else than the owner may do with a file. */
const OTHERS_READ = 0o044;
const OTHERS_WRITE = 0o022;

function findPolicy({ setup: { policyFiles }, cwd }: FileOptions): Finding[] {
  return asStart('policy', (diagnostics) => {
    const policy = readPolicy(policyFiles, cwd, diagnostics);
    const { rules, digest } = policy;
    const found = `${countText(policyFiles.length, 'file')}, ${countText(rules.length, 'rule')}`;
    return [
      { check: 'policy', level: 'ok', found, facts: { rules: rules.length, digest } },
      ...policyFiles.flatMap((file) =>
        writable('policy', file, cwd, 'whoever can write it decides what is allowed'),
      ),
    ];
  });
}

function findPins({ setup: { pins }, cwd }: FileOptions): Finding[] {
  if ([...pins.modes.values()].every((mode) => mode === 'off')) return [];
  return asStart('pins', (diagnostics) => {
    const { lock } = readPinning(pins, cwd, diagnostics);
    const count = [...lock.values()].reduce((sum, tools) => sum + tools.size, 0);
    const found = `${countText(count, 'pinned tool')} of ${countText(lock.size, 'server')}`;
    return [
      { check: 'pins', subject: shown(pins.file, cwd), level: 'ok', found, facts: { tools: count } },
      ...writable('pins', pins.file, cwd, 'whoever can write it decides which tools models are shown'),
    ];
  });
}

function findCallers({ setup: { config }, cwd }: FileOptions): Finding[] {
  const file = config?.apiKeysFile;
  if (config === undefined || file === undefined) return [];
  return asStart('keys', (diagnostics) => {
    const keys = readCallers(config, cwd, diagnostics);
    const found = countText(keys?.byId.size ?? 0, 'API key');
    return [
      { check: 'keys', subject: shown(file, cwd), level: 'ok', found },
      ...writable('keys', file, cwd, 'whoever can write it lets in whom they like'),
    ];
  });
}

/** Runs what a start would run: what it warns of is a warning, what it throws a failure. */
function asStart(check: Check, read: (diagnostics: Diagnostics) => Finding[]): Finding[] {
  const warnings: string[] = [];
  const warn = (text: string): void => void warnings.push(text);
  const silent = (): void => {};
  let findings: Finding[];
  try {
    findings = read({ error: warn, warn, info: silent, debug: silent });
  } catch (error) {
    if (!(error instanceof VerdictError)) throw error;
    findings = error.message.split('\n').map((found) => ({ check, level: 'fail', found, exit: 3 }));
  }
  return [...findings, ...warnings.map((found): Finding => ({ check, level: 'warn', found }))];
}

function writable(check: Check, file: string, cwd: string, consequence: string): Finding[] {
  const stat = statOf(file);
  if (stat === undefined || !grants(stat, OTHERS_WRITE)) return [];
  const found = `others than its owner may write it, and ${consequence}`;
  return [
    { check, subject: shown(file, cwd), level: 'warn', found, advice: `chmod go-w ${shown(file, cwd)}` },
  ];
}

/** What is stopped by hand is no failure of the set-up, and nothing that anybody should find out by chance. */
function findKills({ setup: { killSwitchFile: file }, cwd }: FileOptions): Finding[] {
  const base = { check: 'kill', subject: shown(file, cwd) } as const;
  const found = readKills(file);
  if (found.kind === 'unreadable') {
    const advice = 'Everything is refused until it can be read: mend it, or remove it to lift all';
    return [{ ...base, level: 'fail', found: found.why, advice, exit: 3 }];
  }
  const kills = found.kills.filter((kill) => !isOver(kill, Date.now()));
  const findings = kills.map((kill): Finding => {
    return { ...base, level: 'warn', found: `the kill switch is thrown for ${reasonedText(kill)}` };
  });
  if (findings.length === 0) findings.push({ ...base, level: 'ok', found: 'nothing is stopped by hand' });
  return [
    ...findings,
    ...writable('kill', file, cwd, 'whoever can write it stops and starts what they like'),
  ];
}

const KEYS = [
  { file: HMAC_KEY_FILE, variable: HMAC_KEY_ENV, load: loadHmacKey, what: 'for digests of arguments' },
  { file: SIGNING_KEY_FILE, variable: SIGNING_KEY_ENV, load: loadSigningKey, what: 'for checkpoints' },
] as const;

function findKeys({ setup: { keysDirectory: directory, spool }, env, cwd }: FileOptions): Finding[] {
  const findings = KEYS.map(({ file, variable, load, what }): Finding => {
    const path = join(directory, file);
    const fromEnvironment = (env[variable] ?? '') !== '';
    const subject = fromEnvironment ? variable : shown(path, cwd);
    const stat = fromEnvironment ? undefined : statOf(path);
    if (!fromEnvironment && stat === undefined) {
      const found = `no key ${what} yet: the first start makes one`;
      return { check: 'keys', subject, level: 'ok', found };
    }
    try {
      const { id } = load({ directory, env });
      return { check: 'keys', subject, level: 'ok', found: `key ${id} ${what}`, facts: { key_id: id } };
    } catch (error) {
      const found = error instanceof Error ? error.message : String(error);
      return { check: 'keys', subject, level: 'fail', found, exit: 3 };
    }
  });
  const stat = statOf(directory);
  if (stat !== undefined && grants(stat, OTHERS_WRITE | OTHERS_READ)) {
    findings.push({
      check: 'keys',
      subject: shown(directory, cwd),
      level: 'warn',
      found: 'others than its owner may look into this directory or write to it',
      advice: `chmod 700 ${shown(directory, cwd)}`,
    });
  }
  if (spool.durability !== 'none' && !relative(spool.directory, directory).startsWith('..')) {
    findings.push({
      check: 'keys',
      subject: shown(directory, cwd),
      level: 'warn',
      found: 'the keys lie under the spool: whoever copies the records takes the keys along',
      advice: 'Name another place as keys.directory',
    });
  }
  return findings;
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // A directory on the way that we may not enter: what reads the file says so.
    return undefined;
  }
}

/** Windows has no such bits and reports made-up ones. */
function grants({ mode }: Stats, bits: number): boolean {
  return process.platform !== 'win32' && (mode & bits) !== 0;
}

function shown(file: string, cwd: string): string {
  const path = relative(cwd, file);
  return path === '' || path.startsWith('..') ? file : path;
}
