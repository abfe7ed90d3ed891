/** A file exporter on a real directory, with a disk that fails as it is told to. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Exporter } from '../../../src/export/direct-exporter.ts';
import { createFileExporter } from '../../../src/export/file/file-exporter.ts';
import type { FileSettings, Rotation } from '../../../src/export/file/file-exporter.ts';
import { nodeLogFiles } from '../../../src/export/file/log-files.ts';
import type { LogFile, LogFiles } from '../../../src/export/file/log-files.ts';
import { hear } from '../../telemetry/heard.ts';

/** Called before the operation of that name; what it throws is what the disk says. */
export interface Faults {
  append?: (file: LogFile, bytes: Uint8Array) => Promise<number | void>;
  sync?: () => Promise<void> | void;
  truncate?: () => void;
  compress?: () => void;
  isDirectory?: () => Promise<void>;
}

export function startFileScene(t: TestContext, rotate?: Rotation) {
  const directory = mkdtempSync(join(tmpdir(), 'mcp-verdict-file-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'decisions.jsonl');
  const faults: Faults = {};
  const heard = hear();
  const clock = { nowMs: Date.now() };
  let open = 0;
  const files: LogFiles = {
    ...nodeLogFiles,
    async open(at) {
      const file = await nodeLogFiles.open(at);
      open += 1;
      return {
        ...file,
        append: async (bytes) => (await faults.append?.(file, bytes)) ?? (await file.append(bytes)),
        async sync() {
          await faults.sync?.();
          await file.sync();
        },
        async truncate(size) {
          faults.truncate?.();
          await file.truncate(size);
        },
        async close() {
          open -= 1;
          await file.close();
        },
      };
    },
    async isDirectory(at) {
      await faults.isDirectory?.();
      return await nodeLogFiles.isDirectory(at);
    },
    async compress(from, to, signal) {
      faults.compress?.();
      await nodeLogFiles.compress(from, to, signal);
    },
  };
  const make = (settings: Partial<FileSettings> = {}): Exporter => {
    const exporter = createFileExporter({
      settings: { path, format: 'json', rotate, ...settings },
      diagnostics: heard.diagnostics,
      nowMs: () => clock.nowMs,
      files,
    });
    t.after(() => exporter.shutdown());
    return exporter;
  };
  return {
    directory,
    path,
    faults,
    heard,
    clock,
    make,
    exporter: make(),
    openFiles: () => open,
    /** Without the lock. */
    names: () => readdirSync(directory).filter((name) => !name.startsWith('.')),
    /** Lines of all files that are not half gzipped, by name. */
    lines: () =>
      readdirSync(directory)
        .filter((name) => /\.(jsonl|gz)$/.test(name))
        .toSorted((a, b) => Number(a === 'decisions.jsonl') - Number(b === 'decisions.jsonl'))
        .flatMap((name) => linesOf(join(directory, name))),
  };
}

export function linesOf(path: string): string[] {
  const bytes = readFileSync(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the test wants it`), { code });
}
