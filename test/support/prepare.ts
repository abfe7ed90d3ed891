/**
 * Before the process tests: builds what they need and this machine lacks, so that no test's own time runs out while a
 * compiler works. What cannot be built is said by the tests that need it: each skips, or with CI=true fails.
 */
import { findMcpPython } from '../clients/python.ts';
import { findClientPrograms } from '../clients/npm.ts';
import { findCollector } from './build-collector.ts';
import { findGoProgram } from './build-go-program.ts';
import { BuildError, reportToStderr } from './cached-build.ts';
import { findJudges } from './python-judges.ts';
import { VERSITYGW } from './s3-server.ts';
import { VICTORIA_LOGS } from './victoria-logs.ts';

const programs: readonly (() => string | Promise<string>)[] = [
  findCollector,
  () => findGoProgram(VERSITYGW),
  () => findGoProgram(VICTORIA_LOGS),
  findJudges,
  findMcpPython,
  findClientPrograms,
];

// One after the other: each build uses all cores.
for (const find of programs) {
  try {
    await find();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    reportToStderr(error.message);
  }
}
