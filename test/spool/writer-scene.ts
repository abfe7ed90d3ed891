/** A spool writer over a thread that answers when the test says so, on a clock that the test turns. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { TestContext } from 'node:test';
import { ZERO_HASH } from '../../src/event/stamp.ts';
import type { Citation, DurablePosition } from '../../src/spool/position.ts';
import type { FromWriter, ToWriter, WriterPlan } from '../../src/spool/writer-message.ts';
import { startSpoolWriter, type SpoolWriter, type WriterThread } from '../../src/spool/writer.ts';
import { entry, IDENTITY, SPOOL, STREAM, uidOf } from '../support/spooled.ts';

export const SECOND = '019bbbbb-0000-7000-8000-0000000000bb';

/** A writer thread that answers when the test says so. */
export class ScriptedThread extends EventEmitter implements WriterThread {
  readonly plan: WriterPlan;
  /** Uids of each commit that was handed over. */
  readonly commits: string[][] = [];
  stops = 0;
  terminated = false;
  #sequence = 0;

  constructor(plan: WriterPlan) {
    super();
    this.plan = plan;
  }

  postMessage(message: ToWriter): void {
    if (message.kind === 'stop') {
      this.stops += 1;
      this.say({ kind: 'stopped', end: citation(this.position()), sealed: true });
    } else this.commits.push(message.entries.map(({ head }) => uidOf(head)));
  }

  async terminate(): Promise<void> {
    this.terminated = true;
  }

  say(message: FromWriter): void {
    this.emit('message', message);
  }

  ready(stream: string = STREAM): void {
    this.say({ kind: 'ready', stream: { identity: IDENTITY, position: { ...this.position(), stream } } });
  }

  commit(): void {
    this.#sequence += this.commits.at(-1)?.length ?? 0;
    this.say({ kind: 'committed', position: this.position() });
  }

  refuse(): void {
    this.say({ kind: 'refused', text: 'ENOSPC: no space' });
  }

  position(): DurablePosition {
    const sequence = this.#sequence;
    const hash = sequence === 0 ? ZERO_HASH : String(sequence).padStart(64, 'a');
    return { stream: STREAM, segment: 1, offset: 100 * sequence, sequence, hash };
  }
}

export function citation({ stream, sequence, hash }: DurablePosition): Citation {
  return { stream, sequence, hash };
}

export interface Scene {
  readonly writer: SpoolWriter;
  readonly threads: ScriptedThread[];
  readonly thread: ScriptedThread;
  readonly troubles: string[];
  readonly healthAtTrouble: boolean[];
  readonly successions: string[];
  readonly time: TestContext['mock']['timers'];
  append(uid: string): void;
  /** `recorded`, and how it ended: by uid. */
  readonly told: Map<string, 'recorded' | 'refused'>;
  ask(uid: string, how?: 'recorded' | 'written'): Promise<void>;
}

export async function scene(t: TestContext): Promise<Scene> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const threads: ScriptedThread[] = [];
  const troubles: string[] = [];
  const healthAtTrouble: boolean[] = [];
  const successions: string[] = [];
  const starting = startSpoolWriter({
    directory: SPOOL,
    identity: IDENTITY,
    durability: 'sync',
    onTrouble: (text) => {
      troubles.push(text);
      healthAtTrouble.push(writer.healthy());
    },
    onSucceeded: (end, next) => successions.push(`${end.stream} ${end.sequence} -> ${next.position.stream}`),
    startThread: (plan) => {
      const thread = new ScriptedThread(plan);
      threads.push(thread);
      return thread;
    },
  });
  const [thread = assert.fail()] = threads;
  thread.ready();
  const writer = await starting;
  const told: Scene['told'] = new Map();
  return {
    writer,
    threads,
    thread,
    troubles,
    healthAtTrouble,
    successions,
    told,
    time: t.mock.timers,
    append: (uid) => writer.append(uid, entry(uid), false),
    async ask(uid, how = 'recorded') {
      await writer[how](uid).then(
        () => told.set(uid, 'recorded'),
        () => told.set(uid, 'refused'),
      );
    },
  };
}

/** Lets everything run that waits for nothing. */
export async function turn(): Promise<void> {
  for (let count = 0; count < 20; count += 1) await Promise.resolve();
}
