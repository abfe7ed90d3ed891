/**
 * `side-by-side.ts SCRIPT...`: runs npm scripts at once, and fails where one of them does. For a test that takes minutes
 * and little work: in its turn with others it would keep their place.
 */
import { spawn } from 'node:child_process';

const running = process.argv.slice(2).map((script) => {
  const child = spawn('npm', ['run', '--silent', script], { stdio: 'inherit' });
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
  return { child, ended };
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const { child } of running) child.kill(signal);
  });
}
const codes = await Promise.all(running.map(({ ended }) => ended));
process.exitCode = codes.find((code) => code !== 0) ?? 0;
