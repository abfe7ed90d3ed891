import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { findGoProgram, skipWithoutGoPrograms, type GoProgram } from '../support/build-go-program.ts';

const PROGRAM: GoProgram = { module: 'example.org/cmd/store', version: 'v1.2.3', trial: ['--version'] };

/** A `go` that notes its arguments and installs a binary which ends with `code`. */
function createPlace(
  t: TestContext,
  code: number,
): { env: Record<string, string>; commands: () => string[] } {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-program-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  const go = `#!/bin/sh
echo "$*" >> "${join(dir, 'commands')}"
printf '#!/bin/sh\\necho no library >&2; exit ${code}' > "$GOBIN/store" && chmod +x "$GOBIN/store"
`;
  writeFileSync(join(bin, 'go'), go);
  chmodSync(join(bin, 'go'), 0o755);
  const env = { PATH: `${bin}:/usr/bin:/bin`, XDG_CACHE_HOME: join(dir, 'cache') };
  return { env, commands: () => readFileSync(join(dir, 'commands'), 'utf8').trimEnd().split('\n') };
}

const report = (): void => undefined;

test('a program is installed at its version once, and another version is another binary', async (t) => {
  const { env, commands } = createPlace(t, 0);
  const path = await findGoProgram(PROGRAM, { env, report });
  assert.match(path, /\/mcp-verdict\/store\/[0-9a-f]{16}\/store$/);
  assert.equal(await findGoProgram(PROGRAM, { env, report }), path);
  assert.deepEqual(commands(), ['install -trimpath -ldflags=-s -w example.org/cmd/store@v1.2.3']);
  assert.notEqual(await findGoProgram({ ...PROGRAM, version: 'v1.2.4' }, { env, report }), path);
});

test('a program that does not run here is not kept', async (t) => {
  const { env, commands } = createPlace(t, 1);
  await assert.rejects(
    findGoProgram(PROGRAM, { env, report }),
    /store was built but does not run: no library/,
  );
  await assert.rejects(findGoProgram(PROGRAM, { env, report }), /does not run/);
  assert.equal(commands().length, 2);
});

test('without go, the error says what to do, and only CI does not skip', async () => {
  const env = { PATH: '/nowhere', XDG_CACHE_HOME: '/nowhere' };
  await assert.rejects(findGoProgram(PROGRAM, { env, report }), /store cannot be built.*Install Go/);
  assert.match(String(skipWithoutGoPrograms([PROGRAM], env)), /store is not built, and there is no go/);
  assert.equal(skipWithoutGoPrograms([PROGRAM], { ...env, CI: 'true' }), false);
});
