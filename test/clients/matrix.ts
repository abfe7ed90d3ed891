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
import { differences, type Observation, type Player, type Script } from './script.ts';
import * as scripts from './scripts.ts';

interface Run {
  readonly player: Player;
  readonly route: Route;
  /** Of the one who runs it, and of nobody else. */
  readonly agent: string;
}

const CONCURRENCY = 4;

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

/** Declares the tests for a file. */
export function testMatrix(players: readonly Player[]): void {
  const runs = players.flatMap((player) =>
    ROUTES.filter(({ server }) => player.legacy || server === 'fixture')
      .filter(({ client }) => player.speaks.includes(client))
      .map((route): Run => ({ player, route, agent: `${player.name}: ${nameOf(route)}` })),
  );
  const played = new Map<Run, Played>();
  const direct = new Map<string, Promise<Observation>>();
  let doors: Doors;

  const play = async (run: Run, route: Route): Promise<Played> => {
    const unique = `${route.door}-${run.agent}`.replace(/\W+/g, '-');
    const script = scriptOf(run, unique, doors.files);
    const observation = await run.player.play(doors.endpoint(route, run.agent), script);
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
    doors = await startDoors(runs.map(({ agent }) => agent));
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

    test('and the records prove themselves', async () => {
      const { code, stdout } = await doors.verify();
      assert.equal(code, 0, stdout);
    });
  });
}
