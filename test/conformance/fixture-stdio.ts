/** The fixture as a stdio server of both eras; run with `node`, never imported by a test. */
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { createFixture } from './fixture.ts';

serveStdio(() =>
  createFixture({
    // A pipe has no streams that could be closed.
    closeStream: () => undefined,
    changed(list, { server }) {
      if (list === 'tools') void server.sendToolListChanged();
      else void server.sendPromptListChanged();
    },
  }),
);
