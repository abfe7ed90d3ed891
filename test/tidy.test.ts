/** The laws of the house that no linter holds: layers, sizes, names, one OpenTelemetry core. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, matchesGlob, posix } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Lower layers first; a layer imports itself and what stands before it (DESIGN section 7). */
const LAYERS = [
  ['errors'],
  ['document'],
  ['event'],
  ['identity'],
  ['policy'],
  ['format'],
  ['spool', 'approval', 'telemetry'],
  ['export', 'proxy', 'console'],
  ['config', 'service'],
  ['index', 'cli'],
];

const LINES_MAX = 400;

function trackedFiles(): string[] {
  return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => file !== '' && exists(file));
}

function exists(file: string): boolean {
  try {
    readFileSync(join(ROOT, file));
    return true;
  } catch {
    return false;
  }
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

function importsOf(file: string): string[] {
  const found: string[] = [];
  for (const match of read(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
    found.push(posix.normalize(posix.join(posix.dirname(file), match[1] ?? '')));
  }
  return found;
}

function roomOf(file: string): string {
  return (file.split('/')[1] ?? '').replace(/\.ts$/, '');
}

function levelOf(file: string): number {
  const level = LAYERS.findIndex((rooms) => rooms.includes(roomOf(file)));
  assert.notEqual(level, -1, `${file} is in no layer of the law: name its room in DESIGN and in this test`);
  return level;
}

const files = trackedFiles();
const sources = files.filter((file) => file.startsWith('src/') && file.endsWith('.ts'));
const code = files.filter((file) => /^(src|test)\/.*\.(ts|mjs|js)$/.test(file));

const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;

describe('the house', () => {
  test('no file imports a layer above its own, nor a peer on its level', () => {
    const broken: string[] = [];
    for (const file of sources) {
      for (const target of importsOf(file)) {
        const allowed =
          roomOf(target) === roomOf(file) ||
          levelOf(target) < levelOf(file) ||
          // config and service, index and cli stand side by side as one level's own files
          (levelOf(target) === levelOf(file) && levelOf(file) >= 8);
        if (!allowed) broken.push(`${file} -> ${target}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  test('no two source files import each other in a ring, types counted', () => {
    const graph = new Map(sources.map((file) => [file, importsOf(file)]));
    const done = new Set<string>();
    const walk = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), `a ring: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}`);
      if (done.has(file)) return;
      for (const next of graph.get(file) ?? []) walk(next, [...path, file]);
      done.add(file);
    };
    for (const file of sources) walk(file, []);
  });

  test(`no code file is longer than ${LINES_MAX} lines`, () => {
    const long = code
      .map((file) => [file, read(file).split('\n').length - 1] as const)
      .filter(([, lines]) => lines > LINES_MAX);
    assert.deepEqual(long, []);
  });

  test('no file or folder is a junk drawer', () => {
    const drawers = files.filter((file) => /(^|\/)(utils?|helpers?|common|misc|types)(\.|\/)/.test(file));
    assert.deepEqual(drawers, []);
  });

  test('nothing but the command line exits the process or writes to the console', () => {
    const loud = sources.filter(
      (file) => !file.startsWith('src/cli/') && /\bprocess\.exit\(|\bconsole\./.test(read(file)),
    );
    assert.deepEqual(loud, []);
  });

  test('the top level holds what the design names and nothing else', () => {
    const top = new Set(
      files.map((file) => file.split('/')[0] ?? '').filter((name) => !name.startsWith('.')),
    );
    const allowed = new Set([
      'src',
      'collector-config',
      'test',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'docker-compose.yml',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
    ]);
    assert.deepEqual(
      [...top].filter((name) => !allowed.has(name)),
      [],
    );
  });

  test('every test is in one lane: with the unit tests, in one of their two processes, or with the process tests', () => {
    const lanes = ['test:unit:records', 'test:unit:calls', 'test:in-turn'].map((script) =>
      [...(manifest['scripts']?.[script] ?? '').matchAll(/'([^']+)'/g)].map(([, glob = '']) => glob),
    );
    // What takes minutes has a lane, or a script, of its own.
    const tests = files.filter((file) => file.endsWith('.test.ts') && !file.startsWith('test/long/'));
    const lost = tests.filter(
      (file) => lanes.filter((globs) => globs.some((glob) => matchesGlob(file, glob))).length !== 1,
    );
    assert.deepEqual(lost, []);
  });

  test('every dependency is pinned exactly', () => {
    const loose = Object.entries({ ...manifest['dependencies'], ...manifest['devDependencies'] }).filter(
      ([, version]) => !/^(npm:@?[\w./-]+@)?\d+\.\d+\.\d+/.test(version),
    );
    assert.deepEqual(loose, []);
  });

  test('the tree holds one @opentelemetry/core, so that the SDK reports errors to the handler that we set', () => {
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version?: string }> };
    const cores = Object.keys(lock.packages).filter((path) =>
      path.endsWith('node_modules/@opentelemetry/core'),
    );
    assert.deepEqual(cores, ['node_modules/@opentelemetry/core']);
    for (const name of ['api', 'sdk-logs', 'resources']) {
      const copies = Object.keys(lock.packages).filter((path) =>
        path.endsWith(`node_modules/@opentelemetry/${name}`),
      );
      assert.equal(copies.length, 1, `${name}: ${copies.join(', ')}`);
    }
  });
});
