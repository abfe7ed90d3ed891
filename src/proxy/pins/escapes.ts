/** Text of a server as a person is to see it, in a terminal, a record or a review. Pure. */
import { units } from '../../format/safe-text.ts';

/** Control and format characters, line ends, lone surrogates, and what is drawn as nothing. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;
const BEYOND_ASCII = /[^ -~]/gu;

/** What makes one picture of several characters, and is of use there alone. */
const PICTURES = /\p{Extended_Pictographic}(?:\u200d|\ufe0f|\p{Emoji_Modifier})*/gu;
const LAYOUT = /[\t\n\r]/g;

/** Whether a text holds what a reader would not see: that has no honest use in the description of a tool. */
export function hasUnseen(text: string): boolean {
  return text.replace(PICTURES, '').replace(LAYOUT, '').search(UNSEEN) >= 0;
}

/** With `\uXXXX` for each character that would not be seen, or would change how others are. */
export function withEscapes(text: string): string {
  return text.replace(UNSEEN, units);
}

/** With `\uXXXX` for everything but printable ASCII: letters that only look like others show. */
export function asciiOnly(text: string): string {
  return text.replace(BEYOND_ASCII, units);
}
