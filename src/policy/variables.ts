/** What a condition sees of a request. Members that are not known are absent, so that `has(...)` tells. */
import type { CelInput, CelMap } from '@bufbuild/cel';
import { celTimestamp, type Bindings, type CelVariables } from './cel.ts';
import { CelLimitError, exactMap, toCelMap, type CelSize } from './cel-value.ts';
import type { PolicyRequest } from './verdict.ts';

export type VariablesResult =
  | { readonly ok: true; readonly variables: CelVariables }
  | { readonly ok: false; readonly message: string };

export interface VariableLimits {
  readonly argumentsBytesMax: number;
  readonly iterationsMax: number;
}

/**
 * The variables of cel-check.ts, filled from a request. Arguments are converted at once, because ones over a limit fail
 * every condition; the others, of which most conditions need none, when a condition names them. Never throws.
 */
export function celVariables(request: PolicyRequest, now: Date, limits: VariableLimits): VariablesResult {
  const { roles = [], delegation = [] } = request.identity;
  const largest = Math.max(roles.length, delegation.length);
  const size: CelSize = { largest, nodes: roles.length + delegation.length, bytes: 0 };
  try {
    const bindings: Bindings = Object.create(null);
    bindings['args'] = toCelMap(request.args, limits.argumentsBytesMax, size);
    const bind = (names: readonly string[]): Bindings => {
      for (const name of names) {
        const value = bindings[name] ?? variable(name, request, now);
        if (value !== undefined) bindings[name] = value;
      }
      return bindings;
    };
    return {
      ok: true,
      variables: { bind, largest: size.largest, nodes: size.nodes, iterationsMax: limits.iterationsMax },
    };
  } catch (error) {
    return {
      ok: false,
      message: error instanceof CelLimitError ? error.message : 'the arguments cannot be read',
    };
  }
}

/** Undefined for what is no variable: a name that a macro binds. */
function variable(name: string, request: PolicyRequest, now: Date): CelInput | undefined {
  const { identity } = request;
  switch (name) {
    case 'tool':
      return known({ name: request.tool });
    case 'server':
      return known({ name: request.server });
    case 'identity':
      return known({
        source: identity.source,
        user: identity.user,
        // Always there: a caller without roles has none, which is no error. So with who acts for it.
        roles: identity.roles ?? [],
        delegation: identity.delegation ?? [],
        agent: known({ id: identity.agent?.id, name: identity.agent?.name }),
        key_id: identity.keyId,
        issuer: identity.issuer,
      });
    case 'request':
      return known({
        method: request.method,
        uri: request.uri,
        prompt: request.prompt,
        transport: request.transport,
        protocol_version: request.protocolVersion,
        client_address: request.clientAddress,
      });
    case 'now':
      return celTimestamp(now);
    default:
      return undefined;
  }
}

function known(members: Readonly<Record<string, CelInput | undefined>>): CelMap {
  const present = new Map<string, CelInput>();
  for (const key of Object.keys(members)) {
    const value = members[key];
    if (value !== undefined) present.set(key, value);
  }
  return exactMap(present);
}
