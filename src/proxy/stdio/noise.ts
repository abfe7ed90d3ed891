/** Lines of a server that are no messages. Pure. */

/** Whether a line cannot have been meant as a message: servers print banners and debug output. */
export function isNoise(content: Uint8Array): boolean {
  const first = content.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0d);
  return first !== OPENING_BRACE && first !== OPENING_BRACKET;
}

const OPENING_BRACE = 0x7b;
const OPENING_BRACKET = 0x5b;

const EXCERPT_BYTES_MAX = 200;

/** The start of a line, for people. */
export function excerpt(content: Uint8Array): string {
  const text = new TextDecoder().decode(content.subarray(0, EXCERPT_BYTES_MAX));
  return content.length > EXCERPT_BYTES_MAX ? `${text}…` : text;
}
