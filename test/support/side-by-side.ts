/**
 * `side-by-side.ts SCRIPT...`: runs npm scripts at once, and fails where one of them does. For a test that takes minutes
 * and little work: in its turn with others it would keep their place. All that they start share what one of them has
 * compiled: a thousand processes load the same few programs.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const compiled = mkdtempSync(join(tmpdir(), 'mcp-verdict-compiled-'));
process.on('exit', () => rmSync(compiled, { recursive: true, force: true }));
const env = { ...process.env, NODE_COMPILE_CACHE: compiled };

const running = process.argv.slice(2).map((script) => {
  const child = spawn('npm', ['run', '--silent', script], { stdio: 'inherit', env });
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
