/** A record's body before its place in a stream is known: cut in two where that place is to be put in. Pure. */
import { canonicalScalar } from './canonical.ts';
import { bodyOnly, firstLink, stamp } from './stamp.ts';
import type { Link, Unstamped } from './stamp.ts';
import { KEYS } from './vocabulary.ts';
import type { Event } from './vocabulary.ts';

/**
 * A record's body without its place in a stream, cut where that place is to be put in. The main thread makes the
 * halves; the writer thread, which alone knows the place, only concatenates.
 */
export interface Halves {
  /** Canonical JSON up to where `verdict.stream.id` sorts in, with its comma. */
  readonly head: string;
  /** The rest, with its comma. */
  readonly tail: string;
}

/** The place that a pair of halves takes. */
export interface Place {
  /** Stream id, a UUID. */
  readonly stream: string;
  /** From 1. */
  readonly sequence: number;
  /** Hex SHA-256 of the body before. */
  readonly previousHash: string;
}

const FIRST_KEY = 'verdict.stream.id';
const LAST_KEY = 'verdict.stream.sequence';

const NOWHERE: Link = firstLink('', '');
const NO_PLACE = placeText({ stream: NOWHERE.streamId, ...NOWHERE });

/**
 * The halves of a record. What its attributes claim of `verdict.stream.*` is overruled, as `stamp` does; a key that
 * the vocabulary does not know and that sorts in between those three is left out, because no cut could hold it.
 */
export function halve(record: Unstamped): Halves {
  const halves = halveKnown(record) ?? cut(stamp(NOWHERE, record).body);
  if (halves !== undefined) return halves;
  const attributes = Object.entries(record.attributes).filter(([key]) => key <= FIRST_KEY || key >= LAST_KEY);
  const clean = cut(stamp(NOWHERE, { ...record, attributes: Object.fromEntries(attributes) }).body);
  if (clean === undefined) throw new TypeError('a body without a place');
  return clean;
}

/** The body at a place: what `stamp` makes of the record there. */
export function join(halves: Halves, place: Place): string {
  return `${halves.head}${placeText(place)}${halves.tail}`;
}

function placeText({ stream, sequence, previousHash }: Place): string {
  return (
    `"verdict.stream.id":${JSON.stringify(stream)},"verdict.stream.previous_hash":"${previousHash}",` +
    `"verdict.stream.sequence":${sequence}`
  );
}

/** A member that a body may have, with its name as JSON. */
interface Member {
  readonly key: string;
  readonly named: string;
  readonly bodyOnly: boolean;
}

const SORTED: readonly Member[] = KEYS.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map((row) => ({
  key: row.key,
  named: `${JSON.stringify(row.key)}:`,
  bodyOnly: 'bodyOnly' in row,
}));
const HEAD_MEMBERS = SORTED.filter(({ key }) => key < FIRST_KEY);
const TAIL_MEMBERS = SORTED.filter(({ key }) => key > LAST_KEY);

/**
 * The short way, for what the vocabulary knows, which is nearly every record: nothing is sorted, hashed or cut, and no
 * object is made. It is several times as fast, on the thread that all calls share.
 * @returns undefined for whatever needs care
 */
function halveKnown(record: Unstamped): Halves | undefined {
  const { attributes } = record;
  const own: Event = bodyOnly(record);
  let written = 0;
  const membersOf = (members: readonly Member[]): string => {
    const texts: string[] = [];
    for (const { key, named, bodyOnly } of members) {
      const given = attributes[key];
      const value = (bodyOnly ? own[key] : undefined) ?? given;
      if (value === undefined) continue;
      texts.push(named + canonicalScalar(value));
      if (given !== undefined) written += 1;
    }
    return texts.join(',');
  };
  const head = membersOf(HEAD_MEMBERS);
  const tail = membersOf(TAIL_MEMBERS);
  // Some attribute is not known here, or claims a place in a stream.
  if (written !== Object.keys(attributes).length) return undefined;
  return { head: `{${head},`, tail: tail === '' ? '}' : `,${tail}}` };
}

/** A quote inside a JSON string is escaped, so these bytes stand in a body as members or not at all. */
function cut(body: string): Halves | undefined {
  const at = body.indexOf(NO_PLACE);
  if (at === -1) return undefined;
  return { head: body.slice(0, at), tail: body.slice(at + NO_PLACE.length) };
}
