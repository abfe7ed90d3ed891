/**
 * `npm run bench [-- SECTION... --rounds N --slot-ms N --warm-up CALLS --records N --directory DIR]`: what mcp-verdict costs, as ratios
 * to what was measured in the same minutes on the same machine. Without a section: all of them but the long ones.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeDisk, probeDisk } from '../../src/spool/disk-probe.ts';
import { fileSystemMagic, nodeFiles } from '../../src/spool/node-files.ts';
import { backlogSection } from './backlog.ts';
import { callSection } from './call.ts';
import { commitSection } from './commit.ts';
import { peersSection } from './peers.ts';
import { deliverySection } from './delivery.ts';
import { directSection } from './direct.ts';
import { bareLoop } from './disk.ts';
import { formatSection } from './format.ts';
import type { Section } from './section.ts';
import { stdioSection } from './stdio.ts';
import { ms } from './table.ts';

const SECTIONS: readonly Section[] = [
  commitSection,
  callSection,
  stdioSection,
  deliverySection,
  directSection,
  formatSection,
  backlogSection,
  peersSection,
];
/** Only when they are named: each takes minutes. */
const LONG = new Set([backlogSection.name, peersSection.name]);
const ROUNDS = 5;
const SLOT_MS = 800;
const WARM_UP_CALLS = 10_000;
const PROBE_MS = 1000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: String(ROUNDS) },
    'slot-ms': { type: 'string', default: String(SLOT_MS) },
    'warm-up': { type: 'string', default: String(WARM_UP_CALLS) },
    records: { type: 'string' },
    directory: { type: 'string', default: tmpdir() },
  },
});
const unknown = positionals.filter((name) => !SECTIONS.some((section) => section.name === name));
if (unknown.length > 0) {
  throw new Error(`no section ${unknown.join(', ')}: ${SECTIONS.map(({ name }) => name).join(', ')}`);
}
const wanted = SECTIONS.filter(({ name }) =>
  positionals.length === 0 ? !LONG.has(name) : positionals.includes(name),
);
const root = mkdtempSync(join(values.directory, 'mcp-verdict-bench-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
// An exit by signal runs no exit listener.
process.on('SIGINT', () => process.exit(130));

print(describeMachine());
for (const section of wanted) {
  const directory = join(root, section.name);
  mkdirSync(directory);
  const startMs = performance.now();
  const text = await section.run({
    rounds: whole(values.rounds),
    slotMs: whole(values['slot-ms']),
    warmUpCalls: whole(values['warm-up']),
    records: values.records === undefined ? undefined : whole(values.records),
    directory,
    say: (line) => void process.stderr.write(`${section.name}: ${line}\n`),
  });
  const seconds = Math.round((performance.now() - startMs) / 1000);
  print(`## ${section.name} (${seconds} s)\n\n${text}`);
  rmSync(directory, { recursive: true, force: true });
}

function describeMachine(): string {
  const [cpu] = cpus();
  const gigabytes = Math.round(totalmem() / 1e9);
  const magic = fileSystemMagic(root);
  const { warnings } = describeDisk(probeDisk({ files: nodeFiles, directory: root, magic }));
  const options = { directory: root, durationMs: PROBE_MS, records: 1, recordBytes: 1024 };
  const grown = bareLoop({ ...options, kind: 'append' });
  const filled = bareLoop({ ...options, kind: 'filled' });
  return [
    '# mcp-verdict bench',
    '',
    `${cpus().length} x ${cpu?.model ?? 'CPU'}, ${gigabytes} GB, ${process.platform} ${release()}, Node ${process.version}, ` +
      `${values.rounds} rounds of ${values['slot-ms']} ms; medians of the rounds.`,
    `Disk, write + fdatasync of 1 KiB: p50 ${ms(grown.p50Us)} ms, p99 ${ms(grown.p99Us)} ms in a file that grows; ` +
      `p50 ${ms(filled.p50Us)} ms, p99 ${ms(filled.p99Us)} ms in one that was filled before.`,
    ...warnings.map((warning) => `WARNING: ${warning}`),
    '',
  ].join('\n');
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`not a number of something: ${text}`);
  return value;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
