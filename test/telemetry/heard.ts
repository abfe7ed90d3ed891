/** Diagnostics that a test can read, and the process's OTEL_* variables as a test needs them. */
import type { TestContext } from 'node:test';
import type { Diagnostics } from '../../src/telemetry/diagnostics.ts';

export interface Heard {
  readonly diagnostics: Diagnostics;
  readonly lines: string[];
  /** All of it, one line each. */
  readonly text: () => string;
}

export function hear(): Heard {
  const lines: string[] = [];
  const at = (level: string) => (text: string) => void lines.push(`${level} ${text}`);
  return {
    diagnostics: { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') },
    lines,
    text: () => lines.join('\n'),
  };
}

/** The SDK's exporters read process.env by themselves: it gets these OTEL_* variables, and no others, for one test. */
export function setOtelEnv(context: TestContext, env: Readonly<Record<string, string>>): typeof process.env {
  const before = Object.entries(process.env).filter(([name]) => name.startsWith('OTEL_'));
  const clear = (): void => {
    for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name];
  };
  clear();
  Object.assign(process.env, env);
  context.after(() => {
    clear();
    Object.assign(process.env, Object.fromEntries(before));
  });
  return process.env;
}
