/** Records for a spool, and a plain reading of what is on its disk, written apart from the readers under test. */
import assert from 'node:assert/strict';
import type { Entry } from '../../src/spool/committer.ts';
import type { SpoolFiles } from '../../src/spool/files.ts';
import { decodeLine } from '../../src/spool/line.ts';
import type { StreamIdentity } from '../../src/spool/segment.ts';

export const SPOOL = '/spool';
export const STREAM = '019aaaaa-0000-7000-8000-0000000000aa';

export const IDENTITY: StreamIdentity = {
  resource: { 'service.name': 'mcp-verdict', 'service.instance.id': STREAM },
  scope: { name: 'mcp-verdict', version: '0.1.0', schemaUrl: 'https://schema.example/1' },
};

/** A record that is not more than its uid and some padding. */
export function entry(uid: string, paddingBytes = 20): Entry {
  return {
    head: `{"event.name":"verdict.lifecycle","log.record.uid":"${uid}","padding":"${'p'.repeat(paddingBytes)}",`,
    tail: ',"verdict.time":"2026-11-22T09:00:00.000000001Z"}',
  };
}

/** The uid that `entry` was given. */
export function uidOf(body: string): string {
  return /"log\.record\.uid":"([^"]*)"/.exec(body)?.[1] ?? '';
}

export interface Line {
  readonly json: string;
  readonly durableBefore: number;
  /** Offset behind its LF. */
  readonly end: number;
}

/** All lines up to the zeros; fails on a bad one. */
export function linesAt(files: SpoolFiles, path: string): Line[] {
  const file = files.open(path, 'read');
  const bytes = Buffer.alloc(file.size());
  file.read(bytes, 0);
  file.close();
  const lines: Line[] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const end = bytes.indexOf(0x0a, at) + 1;
    const line = decodeLine(bytes.subarray(at, end - 1));
    assert.ok(end > 0 && line.ok, `a bad line at ${at} of ${path}`);
    lines.push({ json: line.json, durableBefore: line.durableBefore, end });
    at = end;
  }
  return lines;
}

/** The bodies of a stream, in order. */
export function recordsOf(files: SpoolFiles, stream: string): string[] {
  return files
    .list(`${SPOOL}/${stream}`)
    .filter((name) => /^\d{20}\.log$/.test(name))
    .flatMap((name) => linesAt(files, `${SPOOL}/${stream}/${name}`))
    .map(({ json }) => json)
    .filter((json) => !json.startsWith('{"verdict.se'));
}
