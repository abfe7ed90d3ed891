/** Every client of a family through every door to every server: the same as without, and all of it on record. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ROUTES, directly, nameOf, startDoors, type Body, type Doors, type Route } from './doors.ts';
import {
  decisionsOf,
  expectedLines,
  listings,
  recordedLines,
  strangeFacts,
  type Played,
} from './expected.ts';
import { within } from '../support/within.ts';
import { differences, type Endpoint, type Observation, type Player, type Script } from './script.ts';
import { assertUnlisted, notRefused } from './refusals.ts';
import * as scripts from './scripts.ts';

interface Run {
  readonly player: Player;
  readonly route: Route;
  /** Of the one who runs it, and of nobody else. */
  readonly agent: string;
}

const CONCURRENCY = 4;

/** Ways on which a guarded agent comes: to a server of both eras, through the two kinds of door. */
const GUARDED = ROUTES.filter(({ server, upstream, client }) => server === 'fixture' && upstream === client);

/** Which revision a client and a server agree on. */
const revisionOf = ({ player, route }: Run): string =>
  route.server === 'fixture' ? player.revision : '2025-11-25';

function scriptOf(run: Run, unique: string, files: string): Script {
  const { server } = run.route;
  if (run.player.single === true) return scripts.singles(server, files);
  const whole = wholeScriptOf(run, unique, files);
  return whole.filter(({ title }) => run.player.cannot?.includes(title) !== true);
}

function wholeScriptOf(run: Run, unique: string, files: string): Script {
  const { server, upstream } = run.route;
  if (server === 'everything') return scripts.everything(unique);
  if (server === 'files') return scripts.files(files);
  if (server === 'memory') return scripts.memory;
  if (revisionOf(run) === '2026-07-28') return scripts.fixtureModern;
  return upstream === 'http' ? [...scripts.fixtureLegacy, ...scripts.fixtureResumed] : scripts.fixtureLegacy;
}

/** Far beyond what a run takes on a busy machine: for a client that would wait for ever. */
const PLAY_TIMEOUT_MS = 120_000;

async function playInTime(run: Run, endpoint: Endpoint, script: Script, doors: Doors): Promise<Observation> {
  const { player, agent } = run;
  try {
    return await within(agent, player.play(endpoint, script), PLAY_TIMEOUT_MS);
  } catch (error) {
    // The same agent goes directly too.
    const where = endpoint.kind === 'http' ? endpoint.url : [endpoint.command, ...endpoint.args].join(' ');
    throw new Error(`${agent} at ${where}\n${doors.said()}`, { cause: error });
  }
}

/** The long lane sets MCP_VERDICT_CLIENTS=all: every client goes every way. */
export const ALL_WAYS = process.env['MCP_VERDICT_CLIENTS'] === 'all';

function routesOf(player: Player): readonly Route[] {
  const { legacy, speaks, goes, fast } = player;
  const all = ROUTES.filter(
    (route) =>
      (legacy || route.server === 'fixture') && speaks.includes(route.client) && goes?.(route) !== false,
  );
  if (ALL_WAYS || fast === undefined) return all;
  const few = all.filter((route) => fast.includes(nameOf(route)));
  const doorsOf = (routes: readonly Route[]): ReadonlySet<string> =>
    new Set(routes.map(({ door, upstream }) => `${door} ${upstream}`));
  assert.equal(few.length, fast.length, `${player.name} does not go all of its ways of the fast lane`);
  assert.deepEqual(doorsOf(few), doorsOf(all), `${player.name} misses a kind of door in the fast lane`);
  return few;
}

/** Declares the tests for a file. */
export function testMatrix(players: readonly Player[]): void {
  const runs = players.flatMap((player) =>
    routesOf(player).map((route): Run => ({ player, route, agent: `${player.name}: ${nameOf(route)}` })),
  );
  const guarded = players.flatMap((player) =>
    GUARDED.filter(({ client }) => player.single !== true && player.speaks.includes(client))
      // Over stdio each run is three processes, so there the first and the last client stand for all.
      .filter(({ client }) => client === 'http' || player === players[0] || player === players.at(-1))
      .map((route): Run => ({ player, route, agent: `${player.name}, guarded: ${nameOf(route)}` })),
  );
  const played = new Map<Run, Played>();
  const direct = new Map<string, Promise<Observation>>();
  let doors: Doors;

  const play = async (run: Run, route: Route): Promise<Played> => {
    const unique = `${route.door}-${run.agent}`.replace(/\W+/g, '-');
    const script = scriptOf(run, unique, doors.files);
    const observation = await playInTime(run, doors.endpoint(route, run.agent), script, doors);
    const named = JSON.stringify(observation).replaceAll(unique, 'UNIQUE');
    const { player } = run;
    return { player, revision: revisionOf(run), script, observation: JSON.parse(named) as Observation };
  };
  /** Once for all doors before it. */
  const playDirect = (run: Run): Promise<Observation> => {
    const route = directly(run.route);
    const name = `${run.player.name}: ${nameOf(route)}`;
    const known = direct.get(name) ?? play(run, route).then(({ observation }) => observation);
    direct.set(name, known);
    return known;
  };

  before(async () => {
    const agents = (of: readonly Run[]): string[] => of.map(({ agent }) => agent);
    doors = await startDoors(agents([...runs, ...guarded]), agents(guarded));
  });
  after(() => doors?.close());

  describe('a user sees the same with and without the proxy', { concurrency: CONCURRENCY }, () => {
    for (const run of runs) {
      test(run.agent, async () => {
        const [proxied, unproxied] = await Promise.all([play(run, run.route), playDirect(run)]);
        played.set(run, proxied);
        assert.deepEqual(differences(proxied.observation, unproxied), []);
      });
    }
  });

  describe(
    'what policy denies is told as a denial, and nobody is asked what may not be asked',
    { concurrency: CONCURRENCY },
    () => {
      for (const run of guarded) {
        test(run.agent, async () => {
          const script = scripts.refused(revisionOf(run));
          const observation = await playInTime(run, doors.endpoint(run.route, run.agent), script, doors);
          played.set(run, { player: run.player, revision: revisionOf(run), script, observation });
          assertUnlisted(observation);
          assert.deepEqual(observation.asked, []);
          assert.ok(!doors.fixtureHas('some_other_tool has run'));
        });
      }
    },
  );

  describe('each message that policy governs is on record once, with who, what and what became of it', () => {
    let records: Body[];
    before(async () => {
      await doors.stop();
      records = await doors.records();
    });

    for (const run of runs) {
      test(run.agent, () => {
        const all = played.get(run) ?? assert.fail('it has not been played');
        const decisions = decisionsOf(records, run.agent);
        assert.deepEqual(recordedLines(records, run.agent, all), expectedLines(all));
        const [asked, recorded] = [listings(all.script), listings(decisions)];
        for (const [list, count] of Object.entries(asked))
          assert.ok((recorded[list] ?? 0) >= count, `${list} is recorded ${recorded[list]} times`);
        assert.deepEqual(strangeFacts(decisions, run.route, all.revision), []);
      });
    }

    for (const run of guarded) {
      test(`${run.agent}: each denial names its decision`, () => {
        const { observation } = played.get(run) ?? assert.fail('it has not been played');
        assert.deepEqual(notRefused(observation, records, run.agent), []);
      });
    }

    test('and the records prove themselves', async () => {
      const { code, stdout } = await doors.verify();
      assert.equal(code, 0, stdout);
    });
  });
}
