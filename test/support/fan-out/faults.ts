/** The ways in which a destination, or the collector before it, fails, and what must have become of the records then. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { DEAD_LETTER_DIRECTORY } from '../../../src/export/dead-letter.ts';
import { eventually } from '../collector.ts';
import type { FanOut } from '../fan-out-scene.ts';
import type { DestinationKind, Topology } from './destination.ts';
import type { Fault, FaultFront } from './fault-front.ts';
import { replayCommands } from './proof.ts';

export interface FaultCase {
  readonly what: string;
  /** Of the front; or what is done behind or before it. */
  readonly fault: Exclude<Fault, 'pass'> | 'restart' | 'kill';
}

export const FAULTS: readonly FaultCase[] = [
  { what: 'refuses connections', fault: 'refuse' },
  { what: 'answers 503', fault: 503 },
  { what: 'hangs', fault: 'hang' },
  { what: 'takes records and breaks off its answers', fault: 'lose' },
  { what: 'restarts', fault: 'restart' },
  { what: 'is away while the collector is killed', fault: 'kill' },
  { what: 'answers 401', fault: 401 },
  { what: 'answers 400', fault: 400 },
];

/** To ask for everything is no small thing. */
const POLL_INTERVAL_MS = 100;

export interface Measure {
  /** Before the fault, during it, and after it. */
  readonly calls: number;
  /** How long it lasts at least. */
  readonly holdMs: number;
  /** For what has to arrive when it is over. */
  readonly timeoutMs: number;
}

/** A checkpoint that falls due as a fault begins was made before it, and comes to the destination in it. */
const ON_ITS_WAY_MS = 2000;

/** Milliseconds since the Unix epoch. */
export interface Spell {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Shorter waits than collector-config/ has, for a fault that lasts seconds. */
export function hastyOverlay(kinds: readonly DestinationKind[], topology: Topology): Record<string, unknown> {
  const retry = { retry_on_failure: { initial_interval: '100ms', max_interval: '500ms' } };
  const one = { timeout: '1s', ...(topology === 'A' && retry) };
  return { exporters: Object.fromEntries(kinds.map(({ exporter }) => [exporter, one])) };
}

/** Calls are made all through it. @returns when it was; everything from before it had arrived */
export async function suffer(
  scene: FanOut,
  names: readonly string[],
  { fault }: FaultCase,
  { calls, holdMs, timeoutMs }: Measure,
): Promise<Spell> {
  const fronts = names.map((name) => scene.destination(name).front);
  const setAll = (next: Fault): Promise<unknown> => Promise.all(fronts.map((front) => front.set(next)));
  await scene.calls(calls);
  await scene.arrived({ names, timeoutMs });
  const before = fronts.map((front) => front.requests().seen);
  const fromMs = Date.now();
  if (fault === 'restart') {
    await Promise.all([scene.calls(calls), ...names.map((name) => scene.destination(name).restart())]);
  } else {
    await setAll(fault === 'kill' ? 503 : fault);
    for (const share of thirds(calls)) {
      await scene.calls(share);
      if (fault === 'kill') {
        // It dies with something in its queues, or the kill proves nothing.
        await eventually(() => hasSeen(fronts, before), { what: 'requests', timeoutMs });
        await scene.killCollector();
      }
      await wait(holdMs / 3);
    }
    if (fault !== 'refuse') await eventually(() => hasSeen(fronts, before), { what: 'requests', timeoutMs });
    await setAll('pass');
  }
  const toMs = Date.now();
  await scene.calls(calls);
  return { fromMs, toMs };
}

function hasSeen(fronts: readonly FaultFront[], before: readonly number[]): true | undefined {
  return fronts.every((front, index) => front.requests().seen > (before[index] ?? 0)) || undefined;
}

function thirds(count: number): number[] {
  const third = Math.floor(count / 3);
  return [count - 2 * third, third, third];
}

/** Asserts that nothing is missing, nothing was invented, and the chain is proven from what the destination returns. */
export async function assertWhole(scene: FanOut, name: string): Promise<void> {
  const { missing } = await scene.compare(name);
  assert.deepEqual(missing, [], `${name} misses records`);
  const { code, said } = await scene.verify(name);
  assert.equal(code, 0, `${name}: ${said}`);
  assert.ok(!existsSync(join(scene.spool, DEAD_LETTER_DIRECTORY)), 'a good record was set aside');
}

/**
 * Asserts that something is missing, that all of it was made while the collector deletes what it cannot deliver, that the
 * collector's log and metric tell of it, and that `records verify` names it.
 */
export async function assertNamed(
  scene: FanOut,
  { name, exporter }: DestinationKind,
  { fromMs, toMs }: Spell,
): Promise<void> {
  const { missing } = await scene.compare(name);
  assert.notEqual(missing.length, 0, `${name}: nothing was deleted, so this proves nothing`);
  const others = missing.filter((body) => {
    const ms = Date.parse(String(body['verdict.time']));
    return ms < fromMs - ON_ITS_WAY_MS || ms > toMs;
  });
  assert.deepEqual(others, [], `${name} misses what was made while all was well`);
  const metrics = await (await fetch(scene.collector().metricsEndpoint)).text();
  const failed = `^otelcol_exporter_send_failed_log_records\\S*\\{.*exporter="${exporter}".*\\} [1-9]`;
  assert.match(metrics, new RegExp(failed, 'm'));
  assert.match(scene.collector().output(), /Dropping data/);
  const { code, said } = await scene.verify(name);
  assert.equal(code, 1, said);
  const named = replayCommands(said).reduce(
    (sum, [, , , , , from, , to]) => sum + Number(to) - Number(from) + 1,
    0,
  );
  assert.equal(named, missing.length, said);
}

/** Asserts that the commands which `records verify` prints bring back what is missing. */
export async function assertHealed(scene: FanOut, name: string): Promise<void> {
  await scene.heal(name);
  await scene.arrived({ names: [name] });
  await assertWhole(scene, name);
}

/** Resolves when the last record of a proxy that has ended is there: queues keep the order, so nothing comes after it. */
export async function settled(scene: FanOut, names: readonly string[], timeoutMs: number): Promise<void> {
  const last = (await scene.recorded()).at(-1)?.text;
  for (const name of names) {
    const isThere = async (): Promise<true | undefined> => {
      if ((await scene.destination(name).read()).some(({ body }) => body === last)) return true;
      await wait(POLL_INTERVAL_MS);
      return undefined;
    };
    await eventually(isThere, { what: `the last record in ${name}`, timeoutMs });
  }
}

/** One destination is dead from the start: the others have everything at once, and it has when it is back. */
export async function assertDelaysNoOther(
  scene: FanOut,
  { dead, living }: { readonly dead: string; readonly living: readonly string[] },
): Promise<void> {
  await scene.destination(dead).front.set('refuse');
  await scene.calls(300);
  // Far less than any retry of the dead one takes in the end, and not one record less.
  await scene.arrived({ names: living, timeoutMs: 20_000 });
  assert.equal((await scene.destination(dead).read()).length, 0);
  await scene.destination(dead).front.set('pass');
  await scene.arrived({ timeoutMs: 90_000 });
  await scene.stopProxy();
  await scene.arrived();
  for (const name of [dead, ...living]) await assertWhole(scene, name);
}
