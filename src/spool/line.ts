/** One line of a segment: `JSON TAB DURABLE-BEFORE TAB CRC32 LF` (DESIGN section 5). Pure. */
import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';

/** Bytes of one line, its LF included. */
export const LINE_BYTES_MAX = 1024 * 1024;

export const TAB = 0x09;
export const LF = 0x0a;

/** CRC-32 as lower-case hex. */
const CRC_BYTES = 8;
/** TAB before the CRC, and the LF behind it. */
const FRAME_BYTES = CRC_BYTES + 2;

export type DecodedLine =
  | { readonly ok: true; readonly json: string; readonly durableBefore: number }
  | { readonly ok: false };

const BAD: DecodedLine = Object.freeze({ ok: false });

/**
 * @param json on one line: no control characters, well-formed; RangeError otherwise
 * @param durableBefore offset in the segment that was durable before this commit was written
 * @returns the line with its LF; RangeError where it is longer than LINE_BYTES_MAX
 */
export function encodeLine(json: string, durableBefore: number): Buffer {
  if (json === '' || hasControls(json)) throw new RangeError('not JSON on one line');
  if (!Number.isSafeInteger(durableBefore) || durableBefore < 0) throw new RangeError('not an offset');
  const text = `${json}\t${durableBefore}`;
  const covered = Buffer.byteLength(text);
  const bytes = covered + FRAME_BYTES;
  if (bytes > LINE_BYTES_MAX) throw new RangeError(`a line of ${bytes} bytes: ${LINE_BYTES_MAX} at most`);
  const line = Buffer.allocUnsafe(bytes);
  line.write(text, 'utf8');
  line[covered] = TAB;
  const crc = crc32(line.subarray(0, covered)).toString(16).padStart(CRC_BYTES, '0');
  line.write(crc, covered + 1, 'latin1');
  line[bytes - 1] = LF;
  return line;
}

/**
 * @param bytes a line without its LF
 * @returns not ok for anything that `encodeLine` does not make; never throws
 */
export function decodeLine(bytes: Uint8Array): DecodedLine {
  if (bytes.length >= LINE_BYTES_MAX) return BAD;
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const covered = line.length - CRC_BYTES - 1;
  if (covered < 3 || line[covered] !== TAB) return BAD;
  const crc = line.toString('latin1', covered + 1);
  // The digits are compared as text: upper case is a flipped bit.
  if (crc !== crc32(line.subarray(0, covered)).toString(16).padStart(CRC_BYTES, '0')) return BAD;
  const jsonEnd = line.indexOf(TAB);
  const json = line.subarray(0, jsonEnd);
  const offset = line.toString('latin1', jsonEnd + 1, covered);
  const durableBefore = Number(offset);
  if (!/^(?:0|[1-9]\d{0,15})$/.test(offset) || !Number.isSafeInteger(durableBefore)) return BAD;
  if (json.length === 0 || !isUtf8(json)) return BAD;
  return { ok: true, json: json.toString('utf8'), durableBefore };
}

/** Whether text holds a C0 control character, which JSON writes as an escape. */
export function hasControls(text: string): boolean {
  return /[\0-\u001f]/.test(text);
}
