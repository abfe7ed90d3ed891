/** The spool and its disk, looked at while whoever owns it goes on. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeDisk, probeDisk } from '../../spool/disk-probe.ts';
import { fileSystemMagic, nodeFiles } from '../../spool/node-files.ts';
import { SEGMENT_BYTES_DEFAULT } from '../../spool/segment.ts';
import { surveySpool, type SurveyedStream } from '../../spool/survey.ts';
import type { Finding } from './finding.ts';
import { bytesText, countText, timeText } from './quantities.ts';
import type { Setup } from './setup.ts';

export interface SpoolOptions {
  readonly setup: Setup;
  readonly exporters: readonly string[];
  readonly nowMs: number;
}

export interface SpoolExamination {
  readonly findings: readonly Finding[];
  /** Whether a living process records into it. */
  readonly running: boolean;
  /** Time of the newest record, milliseconds since the Unix epoch. */
  readonly newestMs: number | undefined;
  /** undefined where it holds too little to tell. */
  readonly bytesPerSecond: number | undefined;
}

const NOTHING: SpoolExamination = {
  findings: [],
  running: false,
  newestMs: undefined,
  bytesPerSecond: undefined,
};

export function examineSpool(options: SpoolOptions): SpoolExamination {
  const { directory, durability } = options.setup.spool;
  if (durability === 'none') return NOTHING;
  try {
    // Of one that is there this only asks whether it is ours alone, as a start does.
    const exists = existsSync(directory);
    if (exists) nodeFiles.makeDirectory(directory);
    const disk = findDisk(exists ? directory : nearest(directory), options);
    if (!exists) {
      const found = 'not there yet: the first start makes it';
      return { ...NOTHING, findings: [{ check: 'spool', subject: directory, level: 'ok', found }, ...disk] };
    }
    const streams = surveySpool({ files: nodeFiles, directory, exporters: options.exporters });
    return {
      findings: [
        ...disk,
        ...findSpace(streams, options),
        ...findBacklogs(streams, options),
        ...findOrphans(streams),
      ],
      running: streams.some(({ owned }) => owned),
      newestMs: maxOf(streams.map(({ newestMs }) => newestMs)),
      bytesPerSecond: rateOf(streams),
    };
  } catch (error) {
    const found = `it cannot be used: ${error instanceof Error ? error.message : String(error)}`;
    const advice =
      'Calls would be refused. Run doctor as the user that serves, or name another spool.directory';
    return { ...NOTHING, findings: [{ check: 'spool', subject: directory, level: 'fail', found, advice }] };
  }
}

/** The directory that the spool's would be made in. */
function nearest(directory: string): string {
  let path = directory;
  while (!existsSync(path) && dirname(path) !== path) path = dirname(path);
  return path;
}

function findDisk(directory: string, { setup: { spool } }: SpoolOptions): Finding[] {
  const probe = probeDisk({ files: nodeFiles, directory, magic: fileSystemMagic(directory) });
  const { fact, warnings } = describeDisk(probe);
  const { syncMedianMs, syncMaxMs, fileSystem = 'unknown' } = probe;
  const [sync_median_ms, sync_max_ms] = [round(syncMedianMs), round(syncMaxMs)];
  const facts = { sync_median_ms, sync_max_ms, file_system: fileSystem };
  const subject = spool.directory;
  return [
    { check: 'spool', subject, level: 'ok', found: fact, facts },
    ...warnings.map((found): Finding => ({ check: 'spool', subject, level: 'warn', found })),
  ];
}

/** To hundredths: more is noise. */
function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** A segment that is written and the one that is made ahead: without them a process does not come to its feet. */
const FREE_BYTES_MIN = 2 * SEGMENT_BYTES_DEFAULT;

function findSpace(streams: readonly SurveyedStream[], { setup: { spool } }: SpoolOptions): Finding[] {
  const used = usedBytes(streams);
  const free = nodeFiles.freeBytes(spool.directory);
  const facts = { used_bytes: used, free_bytes: free, max_bytes: spool.bytesMax };
  const base = { check: 'spool', subject: spool.directory, facts } as const;
  const found = `it holds ${bytesText(used)} of at most ${bytesText(spool.bytesMax)} (spool.max_bytes), and the disk has ${bytesText(free)} free`;
  if (free < FREE_BYTES_MIN) return [{ ...base, level: 'fail', found, advice: 'Make room on the disk' }];
  if (used + free < spool.bytesMax) {
    const advice = 'The disk is full before the spool is: lower spool.max_bytes or make room';
    return [{ ...base, level: 'warn', found, advice }];
  }
  return [{ ...base, level: 'ok', found }];
}

/** A collector that takes records leaves nothing behind for so long. */
const BACKLOG_MS_MAX = 5 * 60_000;

function findBacklogs(
  streams: readonly SurveyedStream[],
  { setup, exporters, nowMs }: SpoolOptions,
): Finding[] {
  return exporters.map((exporter): Finding => {
    const backlogs = streams.flatMap((stream) => stream.backlogs.filter((one) => one.exporter === exporter));
    const records = backlogs.reduce((sum, backlog) => sum + backlog.records, 0);
    const oldestMs = minOf(backlogs.map((backlog) => backlog.oldestMs));
    const base = { check: 'spool', subject: setup.spool.directory } as const;
    if (records === 0) return { ...base, level: 'ok', found: `${exporter} has had all records` };
    const ageMs = oldestMs === undefined ? 0 : Math.max(0, nowMs - oldestMs);
    const facts = { exporter, backlog_records: records, backlog_age_ms: ageMs };
    const found = `${exporter} has not acknowledged ${countText(records, 'record')}, the oldest ${timeText(ageMs)} old`;
    if (ageMs <= BACKLOG_MS_MAX) return { ...base, level: 'ok', found, facts };
    return { ...base, level: 'warn', found, advice: 'See below what its endpoint says', facts };
  });
}

/** Of dead processes: nobody delivers them until one starts. */
function findOrphans(streams: readonly SurveyedStream[]): Finding[] {
  const orphans = streams.filter(({ owned }) => !owned);
  const waiting = orphans.filter(({ backlogs }) => backlogs.some(({ records }) => records > 0));
  const living = streams.length - orphans.length;
  const facts = {
    streams: streams.length,
    living,
    without_owner: orphans.length,
    undelivered: waiting.length,
  };
  const found = `${countText(streams.length, 'stream')}, ${living} of living processes`;
  if (waiting.length === 0) return [{ check: 'spool', level: 'ok', found, facts }];
  const rest = `${found}; ${waiting.length} of ended ones with records that are not delivered`;
  const advice =
    living > 0 ? 'A living process takes them over within a minute' : 'They go out at the next start';
  return [{ check: 'spool', level: 'warn', found: rest, advice, facts }];
}

/** Records of a shorter time tell nothing of a day. */
const RATE_MS_MIN = 10 * 60_000;

function rateOf(streams: readonly SurveyedStream[]): number | undefined {
  const [oldestMs, newestMs] = [
    minOf(streams.map((stream) => stream.oldestMs)),
    maxOf(streams.map((stream) => stream.newestMs)),
  ];
  if (oldestMs === undefined || newestMs === undefined || newestMs - oldestMs < RATE_MS_MIN) return undefined;
  const written = streams.reduce((sum, { writtenBytes }) => sum + writtenBytes, 0);
  return written / ((newestMs - oldestMs) / 1000);
}

function usedBytes(streams: readonly SurveyedStream[]): number {
  return streams.reduce((sum, { bytes }) => sum + bytes, 0);
}

function minOf(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter((number) => number !== undefined);
  return known.length === 0 ? undefined : known.reduce((a, b) => Math.min(a, b));
}

function maxOf(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter((number) => number !== undefined);
  return known.length === 0 ? undefined : known.reduce((a, b) => Math.max(a, b));
}
