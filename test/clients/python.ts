/** The client of the official Python SDK, in each of its modes: one process, which plays all runs of a file. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findPython } from '../support/python-environment.ts';
import { ANSWERS, UNTIL_TIMEOUT_MS, type Observation, type Player } from './script.ts';

const REQUIREMENTS = readFileSync(new URL('python/requirements.txt', import.meta.url), 'utf8');
const PROGRAM = fileURLToPath(new URL('python/player.py', import.meta.url));

/** @returns the path of a Python that has the SDK; throws BuildError where there is none to be had */
export const findMcpPython = (): string => findPython('the MCP SDK', REQUIREMENTS);

export interface PythonClient {
  readonly players: readonly Player[];
  close(): void;
}

interface Answer {
  readonly id: number;
  readonly observation?: Observation;
  readonly failure?: string;
}

/** The process starts with the first run. */
export function pythonClient(): PythonClient {
  let child: ChildProcessWithoutNullStreams | undefined;
  const waiting = new Map<number, PromiseWithResolvers<Observation>>();
  let errors = '';

  const start = (): ChildProcessWithoutNullStreams => {
    const started = spawn(findMcpPython(), ['-I', '-X', 'utf8', PROGRAM]);
    started.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    createInterface({ input: started.stdout }).on('line', (line) => {
      const { id, observation, failure } = JSON.parse(line) as Answer;
      if (observation === undefined) waiting.get(id)?.reject(new Error(`${failure}\n${errors}`));
      else waiting.get(id)?.resolve(observation);
      waiting.delete(id);
    });
    started.once('close', () => {
      for (const { reject } of waiting.values()) reject(new Error(`Python has ended:\n${errors}`));
    });
    return started;
  };

  const play =
    (mode: string): Player['play'] =>
    (endpoint, script) => {
      child ??= start();
      const id = nextId++;
      const promise = Promise.withResolvers<Observation>();
      waiting.set(id, promise);
      const run = { id, mode, endpoint, script, answers: ANSWERS, untilTimeoutMs: UNTIL_TIMEOUT_MS };
      child.stdin.write(`${JSON.stringify(run)}\n`);
      return promise.promise;
    };
  let nextId = 1;

  const speaks = ['http', 'stdio'] as const;
  return {
    players: [
      {
        name: 'Python SDK legacy',
        revision: '2025-11-25',
        legacy: true,
        speaks,
        goes: ({ server }) => server === 'everything' || server === 'fixture',
        fast: [
          'serve in front of everything (http)',
          'wrap in front of everything (stdio)',
          'serve in front of fixture (stdio)',
        ],
        play: play('legacy'),
      },
      {
        name: 'Python SDK auto',
        revision: '2026-07-28',
        legacy: true,
        speaks,
        goes: ({ server }) => server !== 'everything',
        fast: [
          'serve in front of fixture (http)',
          'wrap in front of files (stdio)',
          'serve in front of memory (stdio)',
        ],
        play: play('auto'),
      },
      { name: 'Python SDK pinned', revision: '2026-07-28', legacy: false, speaks, play: play('2026-07-28') },
    ],
    close: () => void child?.stdin.end(),
  };
}
