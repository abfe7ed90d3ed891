/**
 * A whole wrapper as a process of its own, for tests that kill it: the arguments are the command to wrap. Allows
 * everything.
 */
import { runChildDoor } from './child-door.ts';
import { ORIGIN, notes, scriptedGate } from './stdio-fixtures.ts';

const [command = '', ...args] = process.argv.slice(2);
const { code } = await runChildDoor({
  gate: scriptedGate(),
  command,
  args,
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  origin: () => ORIGIN,
  diagnostics: notes(),
});
process.exitCode = code ?? 1;
