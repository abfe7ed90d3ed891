/** The README's example of the library, run as it stands there. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ROOT, runCli, startCommand } from '../support/cli.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';

const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-library-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('the README’s program records durably, delivers, and its records verify', async () => {
  const example = /```js\n(import[\s\S]*?)```/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1];
  assert.ok(example !== undefined);
  writeFileSync(join(directory, 'program.mjs'), example);
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules/@opentelemetry'), join(directory, 'node_modules/@opentelemetry'));
  symlinkSync(ROOT, join(directory, 'node_modules/mcp-verdict'));
  const receiver = await startOtlpReceiver();
  const program = startCommand(process.execPath, ['program.mjs'], {
    cwd: directory,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url },
  });
  const { code } = await program.ended;
  assert.equal(code, 0, program.stderr());
  const uid = /^recorded (\S+)$/m.exec(program.stdout())?.[1];
  const [log, ...more] = receiver.logs().filter((item) => item.eventName === 'refund.approved');
  assert.deepEqual(more, []);
  assert.equal(log?.attributes['log.record.uid'], uid);
  assert.equal(log?.attributes['refund.amount'], 1200);
  assert.equal(log?.attributes['log.record.original'], 'refund A-17 was approved');
  assert.equal(log?.resource['service.name'], 'payments');
  await receiver.close();
  const verified = await runCli(['records', 'verify', join(directory, 'spool')]);
  assert.equal(verified.code, 0, verified.stdout);
});
