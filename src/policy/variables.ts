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

/** The variables of cel-check.ts, filled from a request. Never throws. */
export function celVariables(request: PolicyRequest, now: Date, limits: VariableLimits): VariablesResult {
  const { identity } = request;
  const roles = identity.roles ?? [];
  const size: CelSize = { largest: roles.length, nodes: roles.length, bytes: 0 };
  try {
    const bindings: Bindings = Object.create(null);
    bindings['args'] = toCelMap(request.args, limits.argumentsBytesMax, size);
    bindings['tool'] = known({ name: request.tool });
    bindings['server'] = known({ name: request.server });
    bindings['identity'] = known({
      source: identity.source,
      user: identity.user,
      // Always there: a caller without roles has none, which is no error.
      roles,
      agent: known({ id: identity.agent?.id, name: identity.agent?.name }),
      key_id: identity.keyId,
      issuer: identity.issuer,
    });
    bindings['request'] = known({
      method: request.method,
      uri: request.uri,
      prompt: request.prompt,
      transport: request.transport,
      protocol_version: request.protocolVersion,
      client_address: request.clientAddress,
    });
    bindings['now'] = celTimestamp(now);
    const { largest, nodes } = size;
    return { ok: true, variables: { bindings, largest, nodes, iterationsMax: limits.iterationsMax } };
  } catch (error) {
    return {
      ok: false,
      message: error instanceof CelLimitError ? error.message : 'the arguments cannot be read',
    };
  }
}

function known(members: Readonly<Record<string, CelInput | undefined>>): CelMap {
  return exactMap(
    new Map(Object.entries(members).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
  );
}
