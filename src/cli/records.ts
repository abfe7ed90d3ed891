/** `records`: reads, proves, sends again and mends what the spool and its destinations hold. */
import { VerdictError } from '../errors.ts';
import type { Io, Verb } from './verb.ts';

const HELP = `Usage: mcp-verdict records tail [--spool DIR] [--stream ID] [--follow] [--format FORMAT]
       mcp-verdict records verify FILE|DIR|-... [--key FILE|BASE64]... [--stream ID] [--from N|any] [--to N] [--json]
       mcp-verdict records export --format FORMAT [--spool DIR] [--stream ID] [--from N] [--to N]
       mcp-verdict records replay --stream ID --from N --to M
                                 (--endpoint URL | --exporter NAME [--config FILE]) [--spool DIR]
       mcp-verdict records repair [--spool DIR] [--aside DIR] [--json]

tail     shows the records of a spool; --follow goes on until Ctrl-C
verify   proves that records are complete and unchanged. Reads a spool directory, segments, lines of bodies, OTLP/JSON
         files (lines or one document), OCSF events, what Splunk, Loki, Datadog and VictoriaLogs give back to a search
         as JSON, each also gzipped, and standard input (-); in any order, with duplicates.
         Of what is missing at a destination it prints the replay commands that send it again
export   writes records to standard output, one a line
replay   sends records from the spool again, because a later hop lost them; what arrived before arrives twice. They are
         kept for spool.keep after they were acknowledged
repair   names what is damaged and copies it aside; changes and deletes nothing in the spool

  --spool DIR         the spool directory, or that of one stream; default: spool in the state directory
  --stream ID         this stream only
  --key FILE|BASE64   public key that checkpoints must be signed with; may be given several times. Without one
                      signatures are not checked, and whoever can write records could have made them
  --format FORMAT     json (the bodies), otlp-json (as the collector's file exporter writes it), cef (CEF:0) or
                      ocsf (OCSF 1.8.0)
  --from N, --to N    sequences, both included. verify expects a stream from 1 to its end; --from any takes it from
                      the first record that is here (retention has freed the others)
  --endpoint URL      where to send, used as it stands: http://HOST:4318/v1/logs
  --exporter NAME     otlp: where OTEL_EXPORTER_OTLP_* say; else an endpoint of that name in --config
  --config FILE       verdict.yaml: its exporters, and its spool unless --spool names another
  --aside DIR         where repair copies to; default: damaged beside the spool directory
  --json              print JSON; with tail the same as --format json

Exit codes: 0 good, 1 not all proven, not all sent or damage found, 2 usage, 3 a file cannot be read, 4 the endpoint
cannot be reached.

Examples:
  mcp-verdict records tail --follow
  mcp-verdict records verify /var/lib/mcp-verdict/spool --key checkpoint.pub
  zcat archive/*.json.gz | mcp-verdict records verify - --key MCowBQYDK2VwAyEA...
  mcp-verdict records export --format otlp-json --stream 019aaaaa-0000-7000-8000-000000000001 > records.json
  mcp-verdict records replay --stream 019aaaaa-0000-7000-8000-000000000001 --from 10 --to 90 --exporter otlp
`;

type Run = (args: readonly string[], io: Io) => Promise<number>;

/** Each loads what it needs; `replay` alone needs exporters. */
const VERBS: Readonly<Record<string, () => Promise<Run>>> = {
  tail: async () => (await import('./records-tail.ts')).tailRecords,
  verify: async () => (await import('./records-verify.ts')).verifyRecords,
  export: async () => (await import('./records-export.ts')).exportRecords,
  replay: async () => (await import('./records-replay.ts')).replayRecords,
  repair: async () => (await import('./records-repair.ts')).repairSpool,
};

export const recordsVerb: Verb = { help: HELP, run };

async function run(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  const names = Object.keys(VERBS).join(', ');
  const load = name !== undefined && Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (load === undefined) {
    const detail =
      name === undefined ? `records needs a verb: ${names}` : `there is no records ${name}: use ${names}`;
    throw new VerdictError('usage', { detail });
  }
  const verb = await load();
  return await verb(rest, io);
}
