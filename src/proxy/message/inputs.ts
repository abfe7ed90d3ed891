/**
 * What a server asks of the client without a request of its own: in an answer that wants input before it goes on (MCP
 * 2026-07-28, multi round-trip requests), in the state of a task that waits for it (SEP-2663), in an error that sends
 * the user elsewhere first (2025-11-25, -32042). Pure.
 */
import { VerdictError } from '../../errors.ts';
import type { ErrorCode, ErrorDetails } from '../../errors.ts';
import { isObject, type Json } from '../../event/json.ts';
import { readCall, type Call } from './call.ts';
import { foldKey, JSON_DEPTH_MAX, parseStrictJson, shown } from './strict-json.ts';

/** One thing that is asked for. */
export interface Input {
  readonly method: string;
  readonly call: Call;
}

export type Inputs =
  | { readonly ok: true; readonly inputs: readonly Input[] }
  | { readonly ok: false; readonly code: ErrorCode; readonly details: ErrorDetails };

/** Inputs of one answer; each leaves a record. Not configurable: users answer them one by one. */
export const INPUTS_MAX = 64;

const REQUESTS = 'inputRequests';
const ELICITATIONS = 'elicitations';

/** Without regard to case, and with escapes and the two letters beyond ASCII that fold into it, which may spell anything. */
const MAY_ASK = /input_?requests|elicitations|[ſK]|\\u(?:00[4-7][0-9a-f]|017f|212a)/i;

/** Whether the text of an answer may hold inputs: quick, and never false where one does. */
export function mayAsk(text: string): boolean {
  return MAY_ASK.test(text);
}

/**
 * The inputs of a response, which is read as strictly as they need: by all readers in the same way, down to the params
 * of each.
 */
export function inputsOfAnswer(bytes: Uint8Array): Inputs {
  const text = decoded(bytes);
  if (text === undefined) return { ok: false, code: 'parse_utf8', details: {} };
  const json = parseStrictJson(text, { depthMax: JSON_DEPTH_MAX.maximum, spanLevels: 0, foldLevels: LEVELS });
  if (!json.ok) return json;
  const envelope = isObject(json.value) ? json.value : NONE;
  const [result, error] = [envelope.get('result'), envelope.get('error')];
  const data = isObject(error) ? error.get('data') : undefined;
  const task = isObject(result) ? result.get('task') : undefined;
  return read([result, task, data]);
}

/** The inputs in the params of a notification. */
export function inputsOfParams(params: ReadonlyMap<string, Json>): Inputs {
  return read([params, params.get('task')]);
}

/** Result, task, inputs, input, its params. */
const LEVELS = 5;

const NONE: ReadonlyMap<string, Json> = new Map();

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function read(places: readonly (Json | undefined)[]): Inputs {
  try {
    const inputs = places
      .filter(isObject)
      .flatMap((place) => [...requestsIn(place), ...elicitationsIn(place)]);
    if (inputs.length > INPUTS_MAX) throw wrong(`there are more than ${INPUTS_MAX} of them`);
    return { ok: true, inputs };
  } catch (error) {
    if (error instanceof VerdictError) return { ok: false, code: error.code, details: error.details };
    throw error;
  }
}

function requestsIn(place: ReadonlyMap<string, Json>): Input[] {
  const requests = memberOf(place, REQUESTS);
  if (requests === undefined) return [];
  if (!isObject(requests)) throw wrong(`${REQUESTS} must be an object`);
  return [...requests.values()].map((request) => {
    const method = isObject(request) ? memberOf(request, 'method') : undefined;
    const params = isObject(request) ? (memberOf(request, 'params') ?? NONE) : undefined;
    if (typeof method !== 'string' || !isObject(params)) {
      throw wrong(`each of ${REQUESTS} must have a method, and params that are an object`);
    }
    return inputOf(method, params);
  });
}

function elicitationsIn(place: ReadonlyMap<string, Json>): Input[] {
  const elicitations = memberOf(place, ELICITATIONS);
  if (elicitations === undefined) return [];
  if (!Array.isArray(elicitations)) throw wrong(`${ELICITATIONS} must be an array`);
  return elicitations.map((params: Json) => {
    if (!isObject(params)) throw wrong(`each of ${ELICITATIONS} must be an object`);
    return inputOf('elicitation/create', params);
  });
}

const inputOf = (method: string, params: ReadonlyMap<string, Json>): Input => ({
  method,
  call: readCall(method, params, () => undefined),
});

/** Throws where a member is spelled so that other readers could take it for the one that is meant. */
function memberOf(object: ReadonlyMap<string, Json>, name: string): Json | undefined {
  const folded = foldKey(name);
  for (const key of object.keys()) {
    if (key !== name && foldKey(key) === folded) throw wrong(`${shown(key)} can be read as ${name}`);
  }
  return object.get(name);
}

function wrong(detail: string): VerdictError {
  return new VerdictError('parse_envelope', { detail });
}
