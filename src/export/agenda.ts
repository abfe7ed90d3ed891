/** What a spool has yet to do at some time; nothing of it keeps the process alive. */
export class Agenda {
  readonly #timers = new Set<NodeJS.Timeout>();
  /** What is to be done soon, once. */
  readonly #due = new Set<string>();

  every(intervalMs: number, run: () => void): void {
    this.#timers.add(setInterval(run, intervalMs).unref());
  }

  /** Asked for again meanwhile, it is the same one. */
  once(what: string, delayMs: number, run: () => void): void {
    if (this.#due.has(what)) return;
    this.#due.add(what);
    this.after(delayMs, () => {
      this.#due.delete(what);
      run();
    });
  }

  after(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs).unref();
    this.#timers.add(timer);
  }

  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
