/** Who a message comes from, as a key: nobody gets the answers, the session or the share of another. */
import type { Origin } from './gate.ts';

/**
 * Equal for two messages of one caller, and for no others. Without an identity it is the address that counts.
 * Roles are left out: a new token may change them within a session.
 */
export function callerKey({ identity, clientAddress }: Pick<Origin, 'identity' | 'clientAddress'>): string {
  const { source, issuer, user, agent, keyId, delegation } = identity;
  const address = source === 'none' ? clientAddress : undefined;
  const facts = [source, issuer, user, agent?.id, agent?.name, keyId, delegation, address];
  return JSON.stringify(facts.map((fact) => fact ?? null));
}
