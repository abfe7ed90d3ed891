/**
 * Bodies in what a search gives back: each product wraps the text that it keeps in an object of its own. Only the places
 * that are named here are looked at: any other text may be an argument of a call, which somebody made to look like a record.
 */

/** Where the text stands, from the outside in; `*` is every member of a list. */
const PLACES: readonly (readonly (string | number)[])[] = [
  // Splunk: a search's export, a line each; its results, one document; events as they are sent on or archived.
  ['result', '_raw'],
  ['results', '*', '_raw'],
  ['_raw'],
  ['event'],
  // VictoriaLogs, a line each.
  ['_msg'],
  // Loki: `logcli --output=jsonl`, a line each; an answer of query_range, one document.
  ['line'],
  ['data', 'result', '*', 'values', '*', 1],
  // Datadog: an archive, a line each; an answer of the logs API, one document.
  ['message'],
  ['data', '*', 'attributes', 'message'],
];

/** An OCSF event: it holds the body it was made from, and its `message` is none. */
const OCSF_PLACE = ['raw_data'] as const;

/** How a body's own key looks in a text that holds the body as a string; no line without it can wrap one. */
const QUOTED_KEY = '\\"verdict.stream.id\\":';

/** Whether a line can be the result of a search: quick, and never wrong about a line that is one. */
export function mayHoldBodies(line: string): boolean {
  return line.includes(QUOTED_KEY);
}

/** The bodies that a result holds, in their order; none where it is no result. */
export function bodiesOfResult(value: unknown): string[] {
  const ocsf = textsAt(value, OCSF_PLACE);
  const texts = ocsf.length > 0 ? ocsf : PLACES.flatMap((place) => textsAt(value, place));
  return texts.filter((text) => text.includes('"verdict.stream.id":'));
}

function textsAt(value: unknown, [key, ...rest]: readonly (string | number)[]): string[] {
  if (key === undefined) return typeof value === 'string' ? [value] : [];
  if (key === '*') return Array.isArray(value) ? value.flatMap((each) => textsAt(each, rest)) : [];
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return [];
  // An object that has the member.
  return textsAt((value as Readonly<Record<string | number, unknown>>)[key], rest);
}
