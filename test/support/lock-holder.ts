/** Holds a lock until it is killed; says on stdout whether it got it. */
import { nodeFiles } from '../../src/spool/node-files.ts';

const lock = nodeFiles.lock(process.argv[2] ?? '');
process.stdout.write(lock === undefined ? 'busy\n' : 'held\n');
if (lock !== undefined) setInterval(() => lock, 60_000);
