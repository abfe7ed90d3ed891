/**
 * Polls until a condition holds; fails loudly when it does not in time. For what other processes do, and what the
 * system does in the background: looks often at first, since most of it is there in a millisecond or two.
 */
export async function eventually(what: string, holds: () => boolean, deadlineMs = 20_000): Promise<void> {
  const begin = Date.now();
  while (!holds()) {
    const passedMs = Date.now() - begin;
    if (passedMs > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(20, 1 + passedMs / 4)));
  }
}
