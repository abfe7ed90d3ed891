/**
 * What the claims of a verified token say of its bearer. Pure. A claim of another form than it should have fails the
 * token: read as absent, it could take a caller out of a group that a deny rule is about.
 */
import type { JWTPayload } from 'jose';
import type { Identity } from './identity.ts';

/** Where in a token each fact stands: the name of a claim, or a JSON pointer into one (`/realm_access/roles`). */
export interface ClaimNames {
  /** Required. Default `sub`. */
  readonly user: string;
  /** Default `roles`. */
  readonly roles: string;
  /** Default: the current actor, else `client_id` (RFC 9068), else `azp` (OpenID Connect). */
  readonly agent: string | undefined;
  /** `SERVER/TOOL` globs. Where one is named, a token without it is good for nothing. Default: none is. */
  readonly grants?: string | undefined;
}

/** Parties in a delegation chain. */
export const DELEGATION_MAX = 8;
/** Characters of one fact: two that differ only beyond it would be one in the records. */
export const CLAIM_CHARS_MAX = 256;

export type ClaimedIdentity =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly message: string };

/** Thrown inside and turned into a result: what a claim has to be. */
class ClaimFault extends Error {}

/** @param issuer whose token it is */
export function identityOf(payload: JWTPayload, names: ClaimNames, issuer: string): ClaimedIdentity {
  try {
    const delegation = actorsOf(payload['act'], issuer);
    const user = textAt(payload, names.user);
    if (user === undefined) throw new ClaimFault(`the token has no claim ${names.user}`);
    // The user in the chain of those who act for it would be a circle.
    if (delegation.includes(user)) throw new ClaimFault('its delegation chain names a party twice');
    const agent = agentOf(payload, names, delegation);
    return {
      ok: true,
      identity: Object.freeze({
        source: 'jwt' as const,
        issuer,
        user,
        roles: listAt(payload, names.roles),
        agent: agent === undefined ? undefined : { id: agent },
        delegation: delegation.length === 0 ? undefined : delegation,
        ...(names.grants === undefined ? {} : { grants: listAt(payload, names.grants) ?? [] }),
      }),
    };
  } catch (error) {
    if (error instanceof ClaimFault) return { ok: false, message: error.message };
    throw error;
  }
}

/** The scopes that a token was given (RFC 8693, section 4.2; `scp` is Entra's and Okta's). */
export function scopesOf(payload: JWTPayload): readonly string[] {
  const given = payload['scope'] ?? payload['scp'];
  if (typeof given === 'string') return given.split(' ').filter((scope) => scope !== '');
  return Array.isArray(given) ? given.filter((scope) => typeof scope === 'string') : [];
}

function agentOf(payload: JWTPayload, names: ClaimNames, delegation: readonly string[]): string | undefined {
  if (names.agent !== undefined) return textAt(payload, names.agent);
  return delegation[0] ?? textAt(payload, 'client_id') ?? textAt(payload, 'azp');
}

/** Who acts, the current actor first, then the ones before it (RFC 8693, section 4.1). */
function actorsOf(act: unknown, issuer: string): readonly string[] {
  const actors: string[] = [];
  for (let actor = act; actor !== undefined;) {
    if (actors.length >= DELEGATION_MAX) {
      throw new ClaimFault(`its delegation chain is longer than ${DELEGATION_MAX}`);
    }
    if (!isRecord(actor)) throw new ClaimFault('its claim act is no object');
    const subject = text(actor['sub'], 'act.sub');
    const vouching = text(actor['iss'], 'act.iss') ?? issuer;
    if (subject === undefined) throw new ClaimFault('its claim act names nobody');
    // A subject of another issuer must not pass for the one of that name that rules are about.
    const name = vouching === issuer ? subject : `${vouching} ${subject}`;
    if (actors.includes(name)) throw new ClaimFault('its delegation chain names a party twice');
    actors.push(name);
    actor = actor['act'];
  }
  return actors;
}

/** Roles and grants: a list of texts, or one. */
function listAt(payload: JWTPayload, name: string): readonly string[] | undefined {
  const value = valueAt(payload, name);
  if (value === undefined) return undefined;
  // Scopes are the one claim that is a list in a string.
  const list = typeof value === 'string' ? (isScopes(name) ? value.split(' ') : [value]) : value;
  if (!Array.isArray(list)) throw new ClaimFault(`its claim ${name} is no list of strings`);
  return list.flatMap((member: unknown) => (member === '' ? [] : (text(member, name) ?? [])));
}

function isScopes(name: string): boolean {
  return name === 'scope' || name === 'scp';
}

function textAt(payload: JWTPayload, name: string): string | undefined {
  return text(valueAt(payload, name), name);
}

function text(value: unknown, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw new ClaimFault(`its claim ${name} is no text`);
  if (value.length > CLAIM_CHARS_MAX) {
    throw new ClaimFault(`its claim ${name} has more than ${CLAIM_CHARS_MAX} characters`);
  }
  return value;
}

function valueAt(payload: JWTPayload, name: string): unknown {
  if (!name.startsWith('/')) return own(payload, name);
  let value: unknown = payload;
  for (const token of name.split('/').slice(1)) {
    value = own(value, token.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  return value;
}

function own(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
