/** Clients that people start as programs: the inspector's command line, and mcp-remote between a client and us. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'node:test';
import { skipWithoutNpm } from '../support/npm-programs.ts';
import { inspector } from './inspector.ts';
import { testMatrix } from './matrix.ts';
import { throughMcpRemote } from './mcp-remote.ts';
import { sdk1 } from './sdk-1.ts';
import { sdk2Pinned } from './sdk-2.ts';

const home = mkdtempSync(join(tmpdir(), 'mcp-verdict-inspector-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));

describe('programs', { skip: skipWithoutNpm() }, () => {
  testMatrix([
    inspector('legacy', home),
    inspector('modern', home),
    throughMcpRemote(sdk1),
    throughMcpRemote(sdk2Pinned),
  ]);
});
