import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { cacheDirectory, findCollector, skipWithoutCollector } from '../support/build-collector.ts';
import { BuildError } from '../support/cached-build.ts';

const MANIFEST = `dist:
  version: 1.2.3
receivers:
  - gomod: example.org/receiver v1.2.3
`;

interface Place {
  readonly env: Record<string, string>;
  readonly manifest: string;
  readonly said: string[];
  /** One line for each go command that was run. */
  readonly commands: () => string[];
  readonly cached: () => string[];
}

/** A cache, a manifest, and a `go` that does what `script` says at its last step, compiling. */
function createPlace(t: TestContext, script: string): Place {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-verdict-build-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  const go = `#!/bin/sh
echo "$1" >> "${join(dir, 'commands')}"
case "$1" in
  run) mkdir -p source ;;
  build) ${script} ;;
esac
`;
  writeFileSync(join(bin, 'go'), go);
  chmodSync(join(bin, 'go'), 0o755);
  const manifest = join(dir, 'builder.yaml');
  writeFileSync(manifest, MANIFEST);
  const env = { PATH: `${bin}:/usr/bin:/bin`, XDG_CACHE_HOME: join(dir, 'cache'), PLACE: dir };
  const cache = cacheDirectory(MANIFEST, env);
  return {
    env,
    manifest,
    said: [],
    commands: () => readFileSync(join(dir, 'commands'), 'utf8').trimEnd().split('\n'),
    cached: () => readdirSync(cache).filter((name) => !name.startsWith('lock')),
  };
}

const WRITE_BINARY = `printf '#!/bin/sh\\necho built' > ../otelcol && chmod +x ../otelcol`;

function find({ env, manifest, said }: Place): Promise<string> {
  return findCollector({ env, manifest, report: (line) => said.push(line) });
}

test('a first build is kept, and the second call runs nothing', async (t) => {
  const place = createPlace(t, WRITE_BINARY);
  const path = await find(place);
  assert.match(readFileSync(path, 'utf8'), /echo built/);
  assert.deepEqual(place.commands(), ['run', 'list', 'build']);
  assert.equal(await find(place), path);
  assert.equal(place.commands().length, 3);
  assert.deepEqual(place.cached(), ['otelcol']);
  assert.match(place.said.join('\n'), /compiling \(0:0\d\)/);
});

test('two that ask at once get one build', async (t) => {
  const place = createPlace(t, WRITE_BINARY);
  const [one, other] = await Promise.all([find(place), find(place)]);
  assert.equal(one, other);
  assert.deepEqual(place.commands(), ['run', 'list', 'build']);
  assert.match(place.said.join('\n'), /waiting for another process/);
});

test('a build that fails shows the output of go and leaves nothing behind', async (t) => {
  const place = createPlace(t, `echo 'go: downloading x' >&2; echo 'cannot find module' >&2; exit 1`);
  await assert.rejects(find(place), (error) => {
    assert.ok(error instanceof BuildError);
    assert.equal(error.message, 'The collector could not be built: compiling failed.\ncannot find module');
    return true;
  });
  assert.deepEqual(place.cached(), []);
});

test('a binary that does not run is not kept', async (t) => {
  const place = createPlace(
    t,
    `printf '#!/bin/sh\\necho no library >&2; exit 127' > ../otelcol && chmod +x ../otelcol`,
  );
  await assert.rejects(find(place), /does not run: no library/);
  assert.deepEqual(place.cached(), []);
});

test('a build that is killed leaves no half binary, and is in nobody’s way', async (t) => {
  const once9 = `printf half > ../otelcol; if [ ! -e "$PLACE/killed" ]; then touch "$PLACE/killed"; kill -9 $PPID; fi; ${WRITE_BINARY}`;
  const place = createPlace(t, once9);
  const module = pathToFileURL(join(import.meta.dirname, '../support/build-collector.ts')).href;
  const code = `(await import(${JSON.stringify(module)})).findCollector({ manifest: ${JSON.stringify(place.manifest)} })`;
  const killed = spawn(process.execPath, ['--input-type=module', '-e', code], {
    env: place.env,
    stdio: 'ignore',
  });
  assert.deepEqual(await once(killed, 'exit'), [null, 'SIGKILL']);
  assert.equal(existsSync(join(cacheDirectory(MANIFEST, place.env), 'otelcol')), false);
  assert.match(readFileSync(await find(place), 'utf8'), /echo built/);
  assert.deepEqual(place.cached(), ['otelcol']);
});

test('another manifest is another binary', () => {
  const env = { XDG_CACHE_HOME: '/cache' };
  assert.match(cacheDirectory(MANIFEST, env), /^\/cache\/mcp-verdict\/collector\/[0-9a-f]{16}$/);
  assert.notEqual(cacheDirectory(MANIFEST, env), cacheDirectory(MANIFEST.replaceAll('1.2.3', '1.2.4'), env));
  assert.notEqual(cacheDirectory(MANIFEST, env), cacheDirectory(`${MANIFEST}# comment\n`, env));
  assert.match(cacheDirectory(MANIFEST, { HOME: '/home/a' }), /^\/home\/a\/\.cache\/mcp-verdict\//);
});

test('OTELCOL names a ready binary, and a wrong path is said', async () => {
  assert.equal(await findCollector({ env: { OTELCOL: process.execPath } }), process.execPath);
  await assert.rejects(
    findCollector({ env: { OTELCOL: '/nowhere' } }),
    /OTELCOL names \/nowhere, which cannot be executed/,
  );
});

test('without go, the error says what to do, and only CI does not skip', async () => {
  const env = { PATH: '/nowhere', XDG_CACHE_HOME: '/nowhere' };
  await assert.rejects(findCollector({ env }), /Install Go 1\.25 or newer, or set OTELCOL/);
  assert.match(String(skipWithoutCollector(env)), /there is no go on the PATH/);
  assert.equal(skipWithoutCollector({ ...env, CI: 'true' }), false);
  assert.equal(skipWithoutCollector({ ...env, OTELCOL: '/some/otelcol' }), false);
});
