/** What the spool of a soak holds, and whether it is proven. */
import assert from 'node:assert/strict';
import { listSpool, readSpoolStream } from '../../../src/cli/records-spool.ts';
import { parsePublicKey } from '../../../src/event/signing.ts';
import { createVerifier } from '../../../src/event/verify.ts';
import type { VerifyReport } from '../../../src/event/verify-report.ts';
import type { Recorded } from './ledger.ts';

export interface SpooledRecords {
  readonly records: readonly Recorded[];
  readonly report: VerifyReport;
}

/** All streams of a spool that nobody writes to any more. @param publicKey base64 */
export function readSpooled(spool: string, publicKey: string): SpooledRecords {
  const key = parsePublicKey(publicKey);
  assert.ok(key !== undefined);
  const verifier = createVerifier({ publicKeys: [key] });
  const records: Recorded[] = [];
  for (const stream of listSpool(spool)) {
    for (const line of readSpoolStream(stream)) {
      // What a kill cut short, nobody was told of.
      if (line.kind === 'torn') continue;
      assert.equal(line.kind, 'record', JSON.stringify(line));
      if (line.kind !== 'record') continue;
      verifier.add(line.body);
      records.push(recordOf(line.body));
    }
  }
  return { records, report: verifier.report() };
}

function recordOf(body: string): Recorded {
  const members = JSON.parse(body) as Readonly<Record<string, string | undefined>>;
  const text = (key: string): string => members[key] ?? '';
  return {
    name: text('event.name'),
    uid: text('log.record.uid'),
    traceId: text('trace_id'),
    method: text('mcp.method.name'),
    effect: text('verdict.decision.effect'),
    reason: text('verdict.decision.reason'),
    message: text('verdict.decision.message'),
    decision: text('verdict.decision.uid'),
  };
}
