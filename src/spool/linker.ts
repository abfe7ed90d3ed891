/**
 * Which lines of a stream are to be believed. A CRC says that a line is as it was written; that it is the record that
 * was written *there* only the chain says, and the chain points backwards: a record is vouched for by the one behind
 * it. So a record is handed out when the next one has been seen, and a line that does not fit waits for a third to
 * say which of the two is wrong. Pure; knows nothing of files.
 */

/** A place in the chain: a sequence and, where it is known, the hash of its body. */
export interface ChainPlace {
  readonly sequence: number;
  readonly hash: string | undefined;
}

/** A record whose CRC is right. */
export interface Candidate {
  readonly sequence: number;
  readonly hash: string;
  readonly previousHash: string;
}

/** What the linker decides, in the order of the stream. */
export interface LinkerSink<C extends Candidate> {
  release(candidate: C): void;
  /** Sequences `from` to `to` are missing; `lastHash` is of the record before them. */
  missing(from: number, to: number, lastHash: string | undefined): void;
}

export interface Linker<C extends Candidate> {
  push(candidate: C): void;
  /** What is known for sure of a place behind all that was pushed: decides everything up to it. */
  anchor(place: ChainPlace): void;
  /** Nothing more comes and nothing more is known: what nothing speaks against is believed. @returns the last place */
  finish(): ChainPlace;
  /** The last record that was taken in order, decided or not. */
  tip(): ChainPlace;
}

/** @param base the place before the first record to come */
export function createLinker<C extends Candidate>(base: ChainPlace, sink: LinkerSink<C>): Linker<C> {
  /** Decided, up to here. */
  let settled = base;
  /** In order behind `settled`, not vouched for yet. */
  let held: C | undefined;
  /** Does not fit behind `held`. */
  let doubt: C | undefined;
  const tip = (): ChainPlace => held ?? settled;

  const releaseHeld = (): void => {
    if (held === undefined) return;
    sink.release(held);
    settled = place(held);
    held = undefined;
  };
  const lose = (to: number, hash: string | undefined): void => {
    sink.missing(settled.sequence + 1, to, settled.hash);
    settled = { sequence: to, hash };
  };
  /** The doubtful one is believed: what stands between it and the settled part is not. */
  const acceptDoubt = (candidate: C): void => {
    if (candidate.sequence !== tip().sequence + 1) releaseHeld();
    held = undefined;
    const before = candidate.sequence - 1;
    if (settled.sequence < before) lose(before, candidate.previousHash);
    held = candidate;
    doubt = undefined;
  };
  const pushBesideDoubt = (candidate: C, doubted: C): void => {
    if (follows(doubted, candidate)) {
      acceptDoubt(doubted);
      releaseHeld();
      held = candidate;
    } else if (follows(tip(), candidate)) {
      doubt = undefined;
      releaseHeld();
      held = candidate;
    } else if (candidate.sequence > doubted.sequence + 1) {
      // Nothing speaks against the doubtful one: what stood around it is lost, it is not.
      acceptDoubt(doubted);
      doubt = candidate;
    } else if (candidate.sequence > tip().sequence) {
      doubt = candidate;
    }
  };

  const anchor = (known: ChainPlace): void => {
    if (doubt !== undefined && agrees(doubt, known)) acceptDoubt(doubt);
    doubt = undefined;
    if (held !== undefined && agrees(held, known)) releaseHeld();
    held = undefined;
    if (settled.sequence < known.sequence) lose(known.sequence, known.hash);
    else if (settled.sequence === known.sequence) settled = { ...known, hash: known.hash ?? settled.hash };
  };

  return {
    tip,
    push(candidate) {
      if (doubt !== undefined) pushBesideDoubt(candidate, doubt);
      else if (follows(tip(), candidate)) {
        releaseHeld();
        held = candidate;
      } else if (candidate.sequence > tip().sequence) doubt = candidate;
    },
    anchor,
    finish() {
      anchor(doubt === undefined ? tip() : place(doubt));
      return settled;
    },
  };
}

function place({ sequence, hash }: Candidate): ChainPlace {
  return { sequence, hash };
}

/** Whether `candidate` is the next record behind `before`. */
export function follows(before: ChainPlace, candidate: Candidate): boolean {
  return (
    candidate.sequence === before.sequence + 1 &&
    (before.hash === undefined || candidate.previousHash === before.hash)
  );
}

/** Whether a record may stand before, or at, a place that is known. */
function agrees(candidate: Candidate, known: ChainPlace): boolean {
  if (candidate.sequence !== known.sequence) return candidate.sequence < known.sequence;
  return known.hash === undefined || candidate.hash === known.hash;
}
