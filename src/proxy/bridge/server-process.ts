/** One process of a stdio server: lines in, messages out, and its end. */
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import type { Throttle } from '../../telemetry/throttle.ts';
import type { StdioUpstream } from '../http/upstream.ts';
import { readAnswer, type ReadAnswer } from '../message/answer-reader.ts';
import { startChild, type Child, type ChildEnd, type Schedule } from '../stdio/child.ts';
import { createLineSplitter, type Line } from '../stdio/line-splitter.ts';
import { createLineWriter, frame, readLines, type LineReader } from '../stdio/line-stream.ts';
import { excerpt, isNoise } from '../stdio/noise.ts';
import type { BridgeLimits } from './limits.ts';
import { Outbox, type Sent } from './outbox.ts';

/** What all processes of a bridge have in common. */
export interface ProcessRoom {
  readonly limits: BridgeLimits;
  readonly schedule: Schedule;
  readonly diagnostics: Diagnostics;
  /** Says what a server can make us say without end. */
  readonly throttle: Throttle;
  /** For tests: another way to start a process. */
  readonly start?: typeof startChild | undefined;
}

/** A line that can be meant as a message. */
export interface ServerLine {
  /** Without its LF. */
  readonly content: Uint8Array;
  readonly read: ReadAnswer;
}

export interface LineTaker {
  /** @returns a promise where no further line may come before it resolves */
  line(line: ServerLine): Promise<void> | undefined;
  /** A line was too long to be held. */
  oversize(): void;
}

export interface ServerProcess {
  /** Writes one message. @param message without line ends @param signal where it is aborted in time, nothing is written */
  write(message: Uint8Array, signal?: AbortSignal): Promise<Sent>;
  /** Writes a message that only it waits for; not where it does not read. @param message without line ends */
  offer(message: Uint8Array): void;
  /** Starts its way out: the end of its stdin, and in time signals. */
  stop(): void;
  /** Resolves when it has ended, its group too, and its last lines have been taken. */
  readonly ended: Promise<void>;
}

/** How long we wait, once a process has gone, for lines that do not move any more. */
const LINGER_MS = 2_000;

/** Starts a process. @throws VerdictError command_failed */
export async function startServer(
  upstream: StdioUpstream,
  room: ProcessRoom,
  taker: LineTaker,
): Promise<ServerProcess> {
  const { limits, schedule, diagnostics, throttle, start = startChild } = room;
  const { name } = upstream;
  const child = await start(upstream.command, { ...limits, schedule });
  showStderr(child, name, room);
  const writer = createLineWriter(child.stdin, (error) => {
    diagnostics.debug(`server ${name}: it has closed its stdin: ${error.message}`);
  });
  const outbox = new Outbox(writer);
  const reader = readLines(child.stdout, createLineSplitter(limits.lineBytesMax), (line) =>
    takeLine(line, { taker, name, throttle, bytesMax: limits.lineBytesMax }),
  );
  let wanted = false;
  const letGo = (): void => {
    outbox.end();
    child.stop();
  };
  // Without a stdout it can answer nothing any more.
  void reader.done.then(letGo);
  const end = async (): Promise<void> => {
    const how = await child.ended;
    if (!wanted) throttle.say('warn', `server ${name}: end`, `server ${name}: ${endText(how)}`);
    await drained(reader, schedule);
    reader.stop();
    outbox.end();
  };
  return {
    write: (message, signal) => outbox.write(frame(message), signal),
    offer(message) {
      if (outbox.offer(frame(message))) return;
      throttle.say(
        'warn',
        `server ${name}: deaf`,
        `server ${name}: it does not read the answers to its requests`,
      );
    },
    stop() {
      wanted = true;
      letGo();
    },
    ended: end(),
  };
}

interface Taking {
  readonly taker: LineTaker;
  readonly name: string;
  readonly throttle: Throttle;
  readonly bytesMax: number;
}

function takeLine(line: Line, { taker, name, throttle, bytesMax }: Taking): Promise<void> | undefined {
  const where = `server ${name}`;
  if (line.kind === 'oversize') {
    throttle.say(
      'error',
      `${where}: oversize`,
      `${where}: a line of more than ${bytesMax} bytes was dropped`,
    );
    taker.oversize();
    return undefined;
  }
  const { content } = line;
  const read = readAnswer(content, { bytesMax });
  if (read.kind === 'refused' && isNoise(content)) {
    const text = `${where}: it wrote to its stdout what is no message: ${excerpt(content)}`;
    throttle.say('warn', `${where}: noise`, text);
    return undefined;
  }
  return taker.line({ content, read });
}

/** Its own words go to our stderr, a line at a time and in its name. */
/** Shows what a server says on stderr, as far as one is to read it: the rest is counted, and never holds the server up. */
function showStderr(child: Child, name: string, { limits, schedule, diagnostics }: ProcessRoom): void {
  const splitter = createLineSplitter(limits.stderrLineBytesMax);
  let shownBytes = 0;
  let unshown = 0;
  const nextSecond = (): void => {
    if (unshown > 0) diagnostics.warn(`${name}: (${unshown} more lines in this second)`);
    shownBytes = 0;
    unshown = 0;
  };
  const show = (line: Line): void => {
    const text =
      line.kind === 'line'
        ? new TextDecoder().decode(line.content).trimEnd()
        : `(a line of more than ${limits.stderrLineBytesMax} bytes)`;
    if (shownBytes === 0) schedule(SECOND_MS, nextSecond);
    shownBytes += text.length + 1;
    if (shownBytes > limits.stderrSecondBytesMax) unshown += 1;
    else diagnostics.info(`${name}: ${text}`);
  };
  child.stderr.on('data', (chunk: Buffer) => splitter.push(chunk).forEach(show));
  child.stderr.on('end', () => splitter.end().forEach(show));
  child.stderr.on('error', () => undefined);
}

const SECOND_MS = 1_000;

/** Resolves when all lines have been taken, or none has moved for a while and nobody is to blame but the process. */
async function drained(reader: LineReader, schedule: Schedule): Promise<void> {
  const done = reader.done.then(() => true);
  for (;;) {
    const before = reader.chunks;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const callOff = schedule(LINGER_MS, () => resolve(false));
    const finished = await Promise.race([done, promise]);
    callOff();
    if (finished || (reader.chunks === before && !reader.waiting)) return;
  }
}

function endText({ code, signal }: ChildEnd): string {
  return signal === undefined
    ? `its process exited with code ${code ?? 'unknown'}`
    : `${signal} ended its process`;
}
