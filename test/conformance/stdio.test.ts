/**
 * The same server over stdio behind us, and over HTTP by itself: the official suite, check by check. What differs is
 * named here, with why; nothing else may.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startCommand, type Running } from '../support/cli.ts';
import { startProxy, type ConformanceProxy } from './proxy.ts';
import { differences, runSuite } from './suite.ts';

/** The fixture accepts every Host and we do not. */
const GUARDED = [
  'dns-rebinding-protection: direct localhost-host-rebinding-rejected FAILURE',
  'dns-rebinding-protection: proxied localhost-host-rebinding-rejected SUCCESS',
];

const RUNS: Readonly<Record<string, readonly string[]>> = {
  '2025-11-25': [
    ...GUARDED,
    // We answer with JSON where there is nothing to stream, which the suite takes note of.
    'server-sse-multiple-streams: direct server-sse-streams-functional SUCCESS',
    'server-sse-multiple-streams: proxied server-sse-streams-functional INFO',
    // Over a pipe a server cannot ask for the end of a connection.
    'server-sse-polling: direct incoming-sse-event INFO',
    'server-sse-polling: direct stream-closed INFO',
    'server-sse-polling: direct server-sse-priming-event SUCCESS',
    'server-sse-polling: direct server-sse-retry-field SUCCESS',
    'server-sse-polling: direct incoming-sse-event INFO',
    'server-sse-polling: direct server-sse-disconnect-resume SUCCESS',
    'server-sse-polling: proxied server-sse-content-type INFO',
    'server-sse-polling: 10 checks, 3 proxied',
  ],
  '2026-07-28': [...GUARDED],
};

const program = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

describe('the conformance suite against a server over stdio', () => {
  let fixture: Running;
  let url: string;
  let proxy: ConformanceProxy;

  before(async () => {
    fixture = startCommand(process.execPath, [program('fixture-server.ts')]);
    [, url = ''] = await fixture.waitFor(/fixture at (\S+)/);
    const command = [process.execPath, program('fixture-stdio.ts')] as const;
    proxy = await startProxy({ command }, 'allows everything');
  });

  after(async () => {
    await proxy?.stop();
    await fixture?.stop('SIGKILL');
  });

  for (const [revision, expected] of Object.entries(RUNS)) {
    test(`what ${revision} requires: all that it finds by itself over HTTP, but for what a pipe cannot carry`, async () => {
      const args = ['--requirements', revision];
      const direct = await runSuite('modern', ['server', '--url', url, ...args]);
      const proxied = await runSuite('modern', ['server', '--url', proxy.url, ...args]);
      assert.deepEqual(differences(direct, proxied), expected);
    });
  }
});
