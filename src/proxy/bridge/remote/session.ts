/**
 * What the server is told of the connection with each message, since HTTP has none (MCP up to 2025-11-25, transports:
 * session management, protocol version header).
 */
export class Session {
  #id: string | undefined;
  #version: string | undefined;
  #ended = false;
  #over = new AbortController();
  #handshake: PromiseWithResolvers<void> | undefined;

  get id(): string | undefined {
    return this.#id;
  }

  /** What the answer to `initialize` agreed on. */
  get version(): string | undefined {
    return this.#version;
  }

  /** Aborted when the session is over, by whichever side, or another one begins. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Resolves when no `initialize` waits for its answer. */
  async settled(): Promise<void> {
    while (this.#handshake !== undefined) await this.#handshake.promise;
  }

  /** An `initialize` goes out: what was agreed on before it is void. */
  open(): void {
    this.#over.abort();
    this.agree(undefined);
    this.#over = new AbortController();
    this.#id = undefined;
    this.#version = undefined;
    this.#ended = false;
    this.#handshake = Promise.withResolvers();
  }

  /** The server has named it. What no header can hold is no id (MCP 2025-11-25: visible ASCII). */
  name(id: unknown): void {
    if (typeof id === 'string' && /^[\x21-\x7e]+$/.test(id)) this.#id = id;
  }

  /** `initialize` has its answer, or will have none. @param version as it was agreed on */
  agree(version: string | undefined): void {
    this.#version ??= version;
    this.#handshake?.resolve();
    this.#handshake = undefined;
  }

  /** The server knows it no more. Its id is sent on: a server that was wrong about it may come to know it again. */
  lose(): void {
    this.#ended = true;
    this.#over.abort();
  }

  /** Whether the server has something to end. */
  get isOpen(): boolean {
    return this.#id !== undefined && !this.#ended;
  }

  /** Nothing that the server says of itself is wanted any more. */
  hush(): void {
    this.#over.abort();
  }
}
