/** Text made fit for a record: well-formed Unicode, within a cap. */

export interface CutText {
  readonly text: string;
  /** Whether anything is missing at the end. */
  readonly cut: boolean;
}

/**
 * A text of its own, for what is kept longer than the text that it was cut from: V8 makes of a part a view, which keeps
 * all of that text in memory.
 */
export function copied(part: string): string {
  return ` ${part}`.slice(1);
}

const ELLIPSIS = '…';
const ELLIPSIS_BYTES = 3;
/** No UTF-16 code unit needs more bytes of UTF-8. */
const UNIT_BYTES_MAX = 3;

const encoder = new TextEncoder();

/**
 * Makes text well-formed (a lone surrogate becomes U+FFFD) and caps it at `bytesMax` bytes of UTF-8, on the border
 * of a code point. A cut text ends in `…`, within the cap. Costs no more than the cap, however long the text.
 */
export function cutText(text: string, bytesMax: number): CutText {
  if (text.length * UNIT_BYTES_MAX <= bytesMax) return { text: text.toWellFormed(), cut: false };
  if (text.length <= bytesMax) {
    const whole = text.toWellFormed();
    if (Buffer.byteLength(whole) <= bytesMax) return { text: whole, cut: false };
  }
  const mark = bytesMax >= ELLIPSIS_BYTES ? ELLIPSIS : '';
  const room = new Uint8Array(bytesMax - (mark === '' ? 0 : ELLIPSIS_BYTES));
  // One unit more than fits, so that a pair at the border is seen whole; encodeInto never splits a code point.
  const head = text.slice(0, room.length + 1);
  const { read } = encoder.encodeInto(head, room);
  return { text: head.slice(0, read).toWellFormed() + mark, cut: true };
}
