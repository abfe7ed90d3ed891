/**
 * Whose a session is. A session id is a credential in many servers, and behind us they all see one caller: us. So
 * a session belongs to the identity that it was opened for, and to no other that has learned its id.
 */
import { createHash } from 'node:crypto';

export interface Sessions {
  /** @param caller see callerKey */
  bind(server: string, sessionId: string, caller: string): void;
  /** False for a session that is bound to another caller. One that is not known here passes: the upstream knows. */
  admits(server: string, sessionId: string, caller: string): boolean;
  end(server: string, sessionId: string): void;
}

/**
 * In memory only, and only of digests: after a restart all sessions are unknown, and so admitted.
 * @param entriesMax when there are more, the one that was not used for longest is forgotten, and so admitted
 */
export function createSessions(entriesMax: number): Sessions {
  const owners = new Map<string, string>();

  const put = (key: string, caller: string): void => {
    owners.delete(key);
    owners.set(key, caller);
    const [oldest] = owners.keys();
    if (owners.size > entriesMax && oldest !== undefined) owners.delete(oldest);
  };

  return {
    // The upstream has just made it for this caller, whoever had one of that name before.
    bind: (server, sessionId, caller) => put(digestOf(server, sessionId), caller),
    admits(server, sessionId, caller) {
      const key = digestOf(server, sessionId);
      const owner = owners.get(key);
      if (owner === undefined) return true;
      if (owner !== caller) return false;
      put(key, owner);
      return true;
    },
    end: (server, sessionId) => void owners.delete(digestOf(server, sessionId)),
  };
}

function digestOf(server: string, sessionId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([server, sessionId]))
    .digest('base64');
}
