/**
 * Makes a test that would wait for ever fail with what it waited for. A bound for what never comes, not a
 * measurement: it is far beyond what anything here takes.
 */
// Taken before any test can put a clock of its own in its place.
const { setTimeout: after, clearTimeout: callOff } = globalThis;

export async function within<T>(what: string, promise: Promise<T>, deadlineMs = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = after(() => reject(new Error(`not within ${deadlineMs} ms: ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    callOff(timer);
  }
}
