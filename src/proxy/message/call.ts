/** What records and policy need of a request's params, read with their types checked. Pure. */
import { VerdictError } from '../../errors.ts';
import { isObject } from '../../event/json.ts';
import type { Json } from '../../event/json.ts';
import { isRemoved } from './methods.ts';
import { foldKey, shown } from './strict-json.ts';

/** What records and policy need of a request's params. */
export interface Call {
  /** tools/call */
  readonly tool?: string | undefined;
  /** prompts/get, and completion/complete on a prompt */
  readonly prompt?: string | undefined;
  /** resources/read, subscribe, unsubscribe; and completion/complete on a resource: its URI template */
  readonly uri?: string | undefined;
  /** `params.arguments`; undefined where the message has none. */
  readonly args?: ReadonlyMap<string, Json> | undefined;
  /** Bytes of `params.arguments` as they were sent. */
  readonly argsBytes?: number | undefined;
  /** `params._meta.traceparent` and `tracestate`, unchecked. */
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  /** `_meta["io.modelcontextprotocol/protocolVersion"]` (2026-07-28), or `params.protocolVersion` of initialize. */
  readonly protocolVersion?: string | undefined;
  /** Whether the message carries the 2026-07-28 envelope in `_meta`. */
  readonly modern: boolean;
  /** clientInfo of initialize, or of the 2026-07-28 envelope. */
  readonly clientName?: string | undefined;
  readonly clientVersion?: string | undefined;
}

type Params = ReadonlyMap<string, Json>;

const META_VERSION = 'io.modelcontextprotocol/protocolVersion';
const META_CLIENT = 'io.modelcontextprotocol/clientInfo';

interface Member {
  readonly name: string;
  readonly type: 'string' | 'object';
  readonly required: boolean;
}

const NAME = { name: 'name', type: 'string', required: true } as const;
const URI = { name: 'uri', type: 'string', required: true } as const;
const TASK = { name: 'taskId', type: 'string', required: true } as const;
const ARGUMENTS = { name: 'arguments', type: 'object', required: false } as const;

/**
 * The members that a decision rests on (MCP 2025-11-25 and 2026-07-28, schema). An upstream that is laxer than
 * this table would act on something that policy has not seen.
 */
const MEMBERS: ReadonlyMap<string, readonly Member[]> = new Map<string, readonly Member[]>([
  ['tools/call', [NAME, ARGUMENTS]],
  ['prompts/get', [NAME, ARGUMENTS]],
  ['resources/read', [URI]],
  ['resources/subscribe', [URI]],
  ['resources/unsubscribe', [URI]],
  [
    'completion/complete',
    [
      { name: 'ref', type: 'object', required: true },
      { name: 'argument', type: 'object', required: true },
    ],
  ],
  ['tasks/get', [TASK]],
  ['tasks/result', [TASK]],
  ['tasks/cancel', [TASK]],
  ['tasks/update', [TASK]],
  [
    'initialize',
    [
      { name: 'protocolVersion', type: 'string', required: false },
      { name: 'clientInfo', type: 'object', required: false },
    ],
  ],
]);

const folded = (name: string): string => foldKey(name) ?? name;

const MEMBER_NAMES: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  [...MEMBERS].map(([method, members]) => [
    method,
    new Set([...members.map(({ name }) => folded(name)), folded('_meta')]),
  ]),
);
/** All that the sets around here fold. */
const EXACT_NAMES: ReadonlySet<string> = new Set([
  ...[...MEMBERS.values()].flatMap((members) => members.map(({ name }) => name)),
  '_meta',
  'type',
  META_VERSION,
  META_CLIENT,
]);
const META_ALONE: ReadonlySet<string> = new Set([folded('_meta')]);
const REF_NAMES: ReadonlySet<string> = new Set(['type', 'name', 'uri'].map(folded));
const META_NAMES: ReadonlySet<string> = new Set([META_VERSION, META_CLIENT].map(folded));

/**
 * Reads the call out of a message's params.
 * @param sizeOf bytes of a value of `params` as they were sent
 * @throws VerdictError `parse_params`
 */
export function readCall(method: string, params: Params, sizeOf: (value: Json) => number | undefined): Call {
  refuseVariants(method, params, MEMBER_NAMES.get(method) ?? META_ALONE);
  const enclosed = envelope(method, params);
  // The gate refuses it as unknown, whatever its params are: to find fault with them would say that it is known.
  const members = enclosed.modern && isRemoved(method) ? [] : (MEMBERS.get(method) ?? []);
  for (const member of members) checkMember(method, params, member);
  const args = ARGUMENT_METHODS.has(method) ? objectAt(params, 'arguments') : undefined;
  return { ...target(method, params), args, argsBytes: args && sizeOf(args), ...enclosed };
}

/** What can be read of params that readCall refuses: target and trace, each where it has its type. Never throws. */
export function glimpseCall(method: string, params: Json | undefined): Call {
  const members = isObject(params) ? params : undefined;
  const meta = objectAt(members, '_meta');
  return {
    tool: method === 'tools/call' ? stringAt(members, 'name') : undefined,
    prompt: method === 'prompts/get' ? stringAt(members, 'name') : undefined,
    uri: URI_METHODS.has(method) ? stringAt(members, 'uri') : undefined,
    traceparent: stringAt(meta, 'traceparent'),
    tracestate: stringAt(meta, 'tracestate'),
    modern: false,
  };
}

const ARGUMENT_METHODS: ReadonlySet<string> = new Set(['tools/call', 'prompts/get']);
const URI_METHODS: ReadonlySet<string> = new Set([
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
]);

function target(method: string, params: Params): Pick<Call, 'tool' | 'prompt' | 'uri'> {
  if (method === 'tools/call') return { tool: stringAt(params, 'name') };
  if (method === 'prompts/get') return { prompt: stringAt(params, 'name') };
  if (URI_METHODS.has(method)) return { uri: stringAt(params, 'uri') };
  if (method === 'completion/complete') return completionTarget(method, objectAt(params, 'ref') ?? new Map());
  return {};
}

function completionTarget(method: string, ref: Params): Pick<Call, 'prompt' | 'uri'> {
  refuseVariants(method, ref, REF_NAMES);
  const type = stringAt(ref, 'type');
  const prompt = stringAt(ref, 'name');
  const uri = stringAt(ref, 'uri');
  if (type === 'ref/prompt' && prompt !== undefined) {
    if (!isPlainName(prompt)) throw wrong(method, `ref.${UNPLAIN}`);
    return { prompt };
  }
  if (type === 'ref/resource' && uri !== undefined) return { uri };
  throw wrong(method, 'ref must be a ref/prompt with a name or a ref/resource with a uri');
}

function envelope(
  method: string,
  params: Params,
): Omit<Call, 'tool' | 'prompt' | 'uri' | 'args' | 'argsBytes'> {
  const meta = objectAt(params, '_meta');
  if (meta === undefined && params.has('_meta')) throw wrong(method, '_meta must be an object');
  if (meta !== undefined) refuseVariants(method, meta, META_NAMES);
  const modern = meta?.has(META_VERSION) ?? false;
  const version = modern ? stringAt(meta, META_VERSION) : undefined;
  if (modern && version === undefined) throw wrong(method, `_meta["${META_VERSION}"] must be a string`);
  const initialize = method === 'initialize' && !modern;
  const client = initialize ? objectAt(params, 'clientInfo') : objectAt(meta, META_CLIENT);
  return {
    traceparent: stringAt(meta, 'traceparent'),
    tracestate: stringAt(meta, 'tracestate'),
    protocolVersion: initialize ? stringAt(params, 'protocolVersion') : version,
    modern,
    clientName: stringAt(client, 'name'),
    clientVersion: stringAt(client, 'version'),
  };
}

function checkMember(method: string, params: Params, member: Member): void {
  const value = params.get(member.name);
  if (value === undefined && !member.required) return;
  const fits = member.type === 'string' ? typeof value === 'string' : isObject(value);
  if (!fits) {
    throw wrong(method, `${member.name} must be ${member.type === 'string' ? 'a string' : 'an object'}`);
  }
  if (member === NAME && typeof value === 'string' && !isPlainName(value)) throw wrong(method, UNPLAIN);
}

/**
 * Refuses `Arguments` where there is no `arguments`: policy would see none, and a server that reads members
 * without regard to case (CVE-2026-27896) all of them. Where both stand, the strict parser has refused them.
 */
function refuseVariants(method: string, object: Params, names: ReadonlySet<string>): void {
  for (const key of object.keys()) {
    const fold = folded(key);
    if (!names.has(fold) || EXACT_NAMES.has(key)) continue;
    throw wrong(method, `${shown(key)} can be read as another member`);
  }
}

const UNPLAIN = 'name must be 1 character or more, none of them invisible or of a compatibility form';

/** UTF-16 units of a name that is not all ASCII: normalizing takes time. MCP wants 128 characters at most. */
const UNPLAIN_LENGTH_MAX = 256;
const ASCII_NAME = /^[!-~](?:[ -~]*[!-~])?$/;
const UNSEEN = /^\p{Z}|\p{Z}$|[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

/**
 * Whether a name is one to every reader. With a blank at its end, a NUL, an invisible character or letters that
 * normalize to others, a rule would see one name and a server that trims, cuts or normalizes another.
 */
export function isPlainName(name: string): boolean {
  if (ASCII_NAME.test(name)) return true;
  const readable = name.length > 0 && name.length <= UNPLAIN_LENGTH_MAX && !UNSEEN.test(name);
  return readable && name === name.normalize('NFKC');
}

function wrong(method: string, detail: string): VerdictError {
  return new VerdictError('parse_params', { method: shown(method), detail });
}

function stringAt(object: Params | undefined, key: string): string | undefined {
  const value = object?.get(key);
  return typeof value === 'string' ? value : undefined;
}

function objectAt(object: Params | undefined, key: string): Params | undefined {
  const value = object?.get(key);
  return isObject(value) ? value : undefined;
}
