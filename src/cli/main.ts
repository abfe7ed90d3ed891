#!/usr/bin/env node
/** The entry of the command line: the process on one side, `runCommand` on the other. */
import { setFlagsFromString } from 'node:v8';

// Loading makes much garbage in a moment, and the young generation would keep the 64 MB that it grows to for it.
setFlagsFromString('--semi-space-growth-factor=1');
const { runCommand } = await import('./commands.ts');
setFlagsFromString('--semi-space-growth-factor=2');

// A reader that went away (head, a closed pager) is not a failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const code = await runCommand(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});

// An open stdin would keep the process alive after its work is done.
process.stdout.write('', () => process.exit(code));
