/**
 * The stdio door: a client on our stdin and stdout, one server behind us (MCP, transports, stdio). Here is the life
 * of the connection; what happens to its lines is in relay.ts, and how the server is reached in peer.ts.
 */
import type { Claimed } from '../../identity/identity.ts';
import type { Diagnostics } from '../../telemetry/diagnostics.ts';
import { type Schedule, schedule as realSchedule } from './child.ts';
import type { Gate, Origin } from '../gate.ts';
import { limitOf } from '../limit.ts';
import { type StdioLimits, checkStdioLimits } from './limits.ts';
import { LINE_BYTES_MAX, createLineSplitter } from './line-splitter.ts';
import { type LineReader, type LineWriter, createLineWriter, readLines } from './line-stream.ts';
import type { Incoming, Peer, PeerEnd } from './peer.ts';
import { type StdioRelay, createStdioRelay } from './relay.ts';

export interface StdioDoorOptions {
  readonly gate: Gate;
  /** Opens the way to the server, once what else could be wrong is known to be right. */
  readonly open: () => Promise<Peer> | Peer;
  readonly stdin: NodeJS.ReadableStream;
  /** Carries protocol lines and nothing else. */
  readonly stdout: NodeJS.WritableStream;
  /** Where messages come from, given what the client has said of itself so far. */
  readonly origin: (claimed: Claimed) => Origin;
  readonly limits?: StdioLimits | undefined;
  readonly diagnostics: Diagnostics;
  /**
   * Aborted on SIGTERM, SIGINT and SIGHUP: the connection ends as it does at the end of stdin. After that end it says
   * that the client's patience has too, and the server is ended at once.
   */
  readonly signal?: AbortSignal | undefined;
  /** Aborted on a second signal: the server has HURRIED_GRACE_MS left. */
  readonly hurry?: AbortSignal | undefined;
  /** For tests: timers, and the id of our parent process. */
  readonly schedule?: Schedule | undefined;
  readonly parentPid?: (() => number) | undefined;
}

/** How often we look whether our parent still lives; a client that was killed closes no pipe it has passed on. */
const PARENT_WATCH_MS = 1000;

/** All the time that a server has whose client does not wait: some send three signals within half a second. */
export const HURRIED_GRACE_MS = 250;

/** How long we wait, once the server has gone, for what does not move any more. */
const LINGER_MS = 2000;

/**
 * Relays until the server has gone and its last lines are out.
 * @returns how it ended
 * @throws VerdictError config_invalid for a limit out of range, and whatever `open` throws
 */
export async function runStdioDoor(options: StdioDoorOptions): Promise<PeerEnd> {
  const { limits = {}, schedule = realSchedule } = options;
  checkStdioLimits(limits);
  const peer = await options.open();
  const session = openSession(options, peer);
  const parentGone = watchParent(options.parentPid ?? (() => process.ppid), schedule, () => {
    options.diagnostics.warn('the process that started mcp-verdict has gone');
    session.stop();
  });
  const signalled = (): void => {
    if (session.stopping()) peer.terminate();
    else session.stop();
  };
  const hurried = (): void => peer.terminate(HURRIED_GRACE_MS);
  options.signal?.addEventListener('abort', signalled);
  options.hurry?.addEventListener('abort', hurried);
  if (options.signal?.aborted === true) signalled();
  if (options.hurry?.aborted === true) hurried();
  try {
    const end = await peer.ended;
    await closeSession(session, schedule, peer.describe(end));
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
  readonly fromServer: Incoming;
  readonly drained: Promise<void>;
  readonly toClient: LineWriter;
  /** Whether the end has been asked for, by whoever started us. */
  readonly stopping: () => boolean;
  readonly stop: () => void;
}

function openSession(options: StdioDoorOptions, peer: Peer): Session {
  const { gate, diagnostics, stdin, stdout, limits = {} } = options;
  const origin = originWith(options, peer);
  const lineBytesMax = limitOf('lineBytesMax', LINE_BYTES_MAX, limits.lineBytesMax);
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    fromClient.stop();
    peer.stop();
    // What has been read is still decided and passed on, for as long as the server is given.
    void relay.idle('to_upstream').then(() => peer.outlet.end());
  };
  const toClient = createLineWriter(stdout, stop);
  const relay = createStdioRelay({ gate, origin, limits, diagnostics, toClient, toUpstream: peer.outlet });
  const fromServer = peer.listen(relay);
  const fromClient = readLines(stdin, createLineSplitter(lineBytesMax), (line) => relay.fromClient(line));
  void fromClient.done.then(stop);
  const { drained } = peer;
  return { relay, fromClient, fromServer, drained, toClient, stop, stopping: () => stopping };
}

/** Where messages come from, with the session that the server has made of the connection. */
function originWith({ origin }: StdioDoorOptions, { sessionId }: Peer): StdioDoorOptions['origin'] {
  if (sessionId === undefined) return origin;
  return (claimed) => ({ ...origin(claimed), sessionId: sessionId() });
}

/** The server has gone: reads what it left in its pipes, settles what waits for it, and writes the rest out. */
async function closeSession(session: Session, schedule: Schedule, detail: string): Promise<void> {
  const { relay, fromServer, toClient, stopping } = session;
  const linger = { schedule, moved: () => fromServer.chunks + toClient.flushed };
  // A process that has left the group may hold the pipes open for ever. A client that reads slowly is waited for,
  // unless we have been told to end.
  await settled(fromServer.done, { ...linger, patient: () => fromServer.waiting && !stopping() });
  fromServer.stop();
  session.fromClient.stop();
  await settled(relay.idle('to_client'), { ...linger, patient: () => !stopping() });
  await settled(relay.idle('to_upstream'), { ...linger, patient: () => false });
  const rest = relay.breakOff(detail).then(() => toClient.flush());
  await settled(rest, { ...linger, patient: () => !stopping() });
  await settled(session.drained, { ...linger, patient: () => false });
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
