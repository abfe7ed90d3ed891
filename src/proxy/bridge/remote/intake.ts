/**
 * Where what many connections bring becomes the one order of lines that a stdio client reads. A client that reads
 * slowly holds all of them back: each waits here before the next piece is read.
 */
import type { Outcome } from '../../gate.ts';
import type { Id } from '../../message/message.ts';
import type { Inlet, Seen } from '../../stdio/peer.ts';
import { oneLine } from '../one-line.ts';

export class Intake {
  #inlet: Inlet | undefined;
  #room: Promise<void> | undefined;
  #stopped = false;
  #taken = 0;

  /** @param inlet who takes the lines, before any comes */
  open(inlet: Inlet): void {
    this.#inlet = inlet;
  }

  /** Messages taken so far. */
  get taken(): number {
    return this.#taken;
  }

  get waiting(): boolean {
    return this.#room !== undefined;
  }

  /** Takes one message. Resolves when the next one may come. */
  take(message: Uint8Array, seen: Seen): Promise<void> {
    const content = oneLine(unmarked(message));
    const framed = Buffer.concat([content, LF]);
    const line = { kind: 'line', framed, content: framed.subarray(0, -1) } as const;
    return this.#pass((inlet) => inlet.fromUpstream(line, seen));
  }

  /** As Inlet has it. */
  unanswered(id: Id, outcome: Outcome, body: Uint8Array | undefined): Promise<void> {
    return this.#pass((inlet) => inlet.unanswered(id, outcome, body));
  }

  /** The same, now: for when nothing is waited for any more. */
  giveUp(id: Id, outcome: Outcome, body: Uint8Array | undefined): void {
    void this.#inlet?.unanswered(id, outcome, body);
  }

  /** Takes nothing more. */
  stop(): void {
    this.#stopped = true;
  }

  async #pass(hand: (inlet: Inlet) => Promise<void> | undefined): Promise<void> {
    while (this.#room !== undefined) await this.#room;
    if (this.#stopped || this.#inlet === undefined) return;
    this.#taken += 1;
    const room = hand(this.#inlet);
    if (room === undefined) return;
    this.#room = room;
    await room;
    if (this.#room === room) this.#room = undefined;
  }
}

const LF = Uint8Array.of(0x0a);

/** Without a byte order mark, which some readers of a line would take for a part of it (RFC 8259, section 8.1). */
function unmarked(message: Uint8Array): Uint8Array {
  const marked = message[0] === 0xef && message[1] === 0xbb && message[2] === 0xbf;
  return marked ? message.subarray(3) : message;
}
