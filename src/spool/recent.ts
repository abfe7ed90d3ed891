/**
 * The last so many entries. A Map alone would do, but asking it for its oldest entry walks over all that was deleted
 * before: at thousands of records a second that is most of their cost.
 */
export interface Recent<V> {
  get(key: string): V | undefined;
  /** Notes an entry, and forgets the one that came `max` before it. Each key once: a repeated one goes early. */
  set(key: string, value: V): void;
  /** @returns whether it was there */
  delete(key: string): boolean;
}

/** @param max entries, at least 1 */
export function createRecent<V>(max: number): Recent<V> {
  const entries = new Map<string, V>();
  /** Keys in the order of their coming, round and round. */
  const ring: string[] = [];
  let at = 0;
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      const oldest = ring[at];
      if (oldest !== undefined) entries.delete(oldest);
      ring[at] = key;
      at = (at + 1) % max;
      entries.set(key, value);
    },
    delete: (key) => entries.delete(key),
  };
}
