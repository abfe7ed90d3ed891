/** One verb of the command line: one file, one of these. */
export interface Verb {
  /** What `--help` prints: usage, options, at least one example. */
  readonly help: string;
  /** @returns the exit code (errors.ts); throws VerdictError for main to print */
  run(args: readonly string[], io: Io): Promise<number>;
}

/** What a verb may touch; main passes the process, tests pass their own. */
export interface Io {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}
