/**
 * The stdio door: a client on our stdin and stdout, the wrapped server as our child (MCP, transports, stdio).
 * Here is the life of the connection; what happens to its lines is in stdio-relay.ts.
 */
import type { Claimed } from '../../identity/identity.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { type Child, type ChildEnd, type Schedule, schedule as realSchedule, startChild } from './child.ts';
import type { Gate, Origin } from '../gate.ts';
import { limitOf } from '../limit.ts';
import { LINE_BYTES_MAX, createLineSplitter } from './line-splitter.ts';
import { type LineReader, type LineWriter, createLineWriter, readLines } from './line-stream.ts';
import { type StdioLimits, type StdioRelay, checkStdioLimits, createStdioRelay } from './relay.ts';

export type { ChildEnd } from './child.ts';

export interface StdioDoorLimits extends StdioLimits {
  readonly exitGraceMs?: number | undefined;
  readonly termGraceMs?: number | undefined;
}

export interface StdioDoorOptions {
  readonly gate: Gate;
  readonly command: string;
  readonly args: readonly string[];
  /** The child's whole environment; see childEnvironment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string | undefined;
  readonly stdin: NodeJS.ReadableStream;
  /** Carries protocol lines and nothing else. */
  readonly stdout: NodeJS.WritableStream;
  /** Gets the child's stderr, untouched. */
  readonly stderr: NodeJS.WritableStream;
  /** Where messages come from, given what the client has said of itself so far. */
  readonly origin: (claimed: Claimed) => Origin;
  readonly limits?: StdioDoorLimits | undefined;
  readonly diagnostics: Diagnostics;
  /**
   * Aborted on SIGTERM, SIGINT and SIGHUP: the connection ends as it does at the end of stdin. After that end it says
   * that the client's patience has too, and the child is sent SIGTERM at once.
   */
  readonly signal?: AbortSignal | undefined;
  /** Aborted on a second signal: the child has HURRIED_GRACE_MS left. */
  readonly hurry?: AbortSignal | undefined;
  /** For tests: timers, and the id of our parent process. */
  readonly schedule?: Schedule | undefined;
  readonly parentPid?: (() => number) | undefined;
}

/** How often we look whether our parent still lives; a client that was killed closes no pipe it has passed on. */
const PARENT_WATCH_MS = 1000;

/** From SIGTERM to SIGKILL for a child whose client does not wait: some send three signals within half a second. */
export const HURRIED_GRACE_MS = 250;

/** How long we wait, once the child has gone, for what does not move any more. */
const LINGER_MS = 2000;

/**
 * Relays until the child has ended and its last lines are out.
 * @returns how the child ended
 * @throws VerdictError command_failed where it cannot be started, config_invalid for a limit out of range
 */
export async function runStdioDoor(options: StdioDoorOptions): Promise<ChildEnd> {
  const { limits = {}, schedule = realSchedule } = options;
  checkStdioLimits(limits);
  const child = await startChild(options, {
    exitGraceMs: limits.exitGraceMs,
    termGraceMs: limits.termGraceMs,
    schedule,
  });
  const session = openSession(options, child);
  const parentGone = watchParent(options.parentPid ?? (() => process.ppid), schedule, () => {
    options.diagnostics.warn('the process that started mcp-verdict has gone');
    session.stop();
  });
  const signalled = (): void => {
    if (session.stopping()) child.terminate();
    else session.stop();
  };
  const hurried = (): void => child.terminate(HURRIED_GRACE_MS);
  options.signal?.addEventListener('abort', signalled);
  options.hurry?.addEventListener('abort', hurried);
  if (options.signal?.aborted === true) signalled();
  if (options.hurry?.aborted === true) hurried();
  try {
    const end = await child.ended;
    await closeSession(session, schedule, describe(end));
    return end;
  } finally {
    parentGone();
    options.signal?.removeEventListener('abort', signalled);
    options.hurry?.removeEventListener('abort', hurried);
  }
}

interface Session {
  readonly relay: StdioRelay;
  readonly fromClient: LineReader;
  readonly fromChild: LineReader;
  readonly childStderr: Promise<void>;
  readonly toClient: LineWriter;
  /** Whether the end has been asked for, by whoever started us. */
  readonly stopping: () => boolean;
  readonly stop: () => void;
}

function openSession(options: StdioDoorOptions, child: Child): Session {
  const { gate, origin, diagnostics, stdin, stdout, limits = {} } = options;
  const lineBytesMax = limitOf('lineBytesMax', LINE_BYTES_MAX, limits.lineBytesMax);
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    fromClient.stop();
    child.stop();
    // What has been read is still decided and passed on, for as long as the child is given.
    void relay.idle('to_upstream').then(() => toUpstream.end());
  };
  const toClient = createLineWriter(stdout, stop);
  const toUpstream = createLineWriter(child.stdin, (error) => {
    diagnostics.debug(`the server has closed its stdin: ${error.message}`);
  });
  const relay = createStdioRelay({ gate, origin, limits, diagnostics, toClient, toUpstream });
  const childStderr = passOn(child.stderr, options.stderr);
  const fromChild = readLines(child.stdout, createLineSplitter(lineBytesMax), (line) =>
    relay.fromUpstream(line),
  );
  const fromClient = readLines(stdin, createLineSplitter(lineBytesMax), (line) => relay.fromClient(line));
  void fromClient.done.then(stop);
  return { relay, fromClient, fromChild, childStderr, toClient, stop, stopping: () => stopping };
}

/** Copies the child's stderr; once ours is broken, to nowhere, so that the child is not held up. */
function passOn(from: NodeJS.ReadableStream, to: NodeJS.WritableStream): Promise<void> {
  const toNowhere = (): void => {
    from.unpipe(to);
    from.resume();
  };
  to.on('error', toNowhere);
  from.pipe(to, { end: false });
  return new Promise((resolve) => {
    from.once('close', () => {
      to.off('error', toNowhere);
      resolve();
    });
  });
}

/** The child has gone: reads what it left in its pipes, settles what waits for it, and writes the rest out. */
async function closeSession(session: Session, schedule: Schedule, detail: string): Promise<void> {
  const { relay, fromChild, toClient, stopping } = session;
  const linger = { schedule, moved: () => fromChild.chunks + toClient.flushed };
  // A process that has left the group may hold the pipes open for ever. A client that reads slowly is waited for,
  // unless we have been told to end.
  await settled(fromChild.done, { ...linger, patient: () => fromChild.waiting && !stopping() });
  fromChild.stop();
  session.fromClient.stop();
  await settled(relay.idle('to_client'), { ...linger, patient: () => !stopping() });
  await settled(relay.idle('to_upstream'), { ...linger, patient: () => false });
  const rest = relay.breakOff(detail).then(() => toClient.flush());
  await settled(rest, { ...linger, patient: () => !stopping() });
  await settled(session.childStderr, { ...linger, patient: () => false });
}

interface Linger {
  readonly schedule: Schedule;
  /** A number that changes while there is progress. */
  readonly moved: () => number;
  /** Whether to go on waiting without progress. */
  readonly patient: () => boolean;
}

/** Resolves with `work`, or after LINGER_MS without progress or reason for patience. */
async function settled(work: Promise<void>, { schedule, moved, patient }: Linger): Promise<void> {
  const finished = work.then(() => true);
  for (;;) {
    const before = moved();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const callOff = schedule(LINGER_MS, () => resolve(false));
    const done = await Promise.race([finished, promise]);
    callOff();
    if (done || (moved() === before && !patient())) return;
  }
}

function describe(end: ChildEnd): string {
  if (end.signal !== undefined) return `its process was ended by ${end.signal}`;
  return `its process exited with code ${end.code ?? 'unknown'}`;
}

/** @returns a function that ends the watch */
function watchParent(parentPid: () => number, schedule: Schedule, onGone: () => void): () => void {
  const parent = parentPid();
  let callOff = schedule(PARENT_WATCH_MS, look);
  function look(): void {
    if (parentPid() === parent) callOff = schedule(PARENT_WATCH_MS, look);
    else onGone();
  }
  return () => callOff();
}
