/** How a client that runs in this process plays a script. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  ANSWERS,
  UNTIL_TIMEOUT_MS,
  type Observation,
  type Said,
  type Script,
  type Seen,
  type Step,
} from './script.ts';

interface Tapped {
  onmessage?: ((message: never, extra: never) => void) | undefined;
}

/** Keeps what comes in on the transport of a connected client, from now on. */
export function tap(transport: Tapped): readonly Arrived[] {
  const arrived: Arrived[] = [];
  const pass = transport.onmessage;
  // A transport is no EventTarget.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  transport.onmessage = (message, extra) => {
    arrived.push(message);
    pass?.(message, extra);
  };
  return arrived;
}

/** What a client hears and answers while it is open. */
export interface Ears {
  hear(said: Said): Promise<void>;
  answer(asked: Said): Record<string, unknown>;
  /** What went wrong beside all requests, such as a stream that broke off. */
  trouble(error: Error): void;
}

export interface RequestOptions {
  readonly onprogress?: () => void;
  readonly signal?: AbortSignal;
}

export type Arrived = Partial<Said>;

/** A connected client. */
export interface Session {
  readonly server: Observation['server'];
  request(step: Step, options: RequestOptions): Promise<unknown>;
  /** Messages of the server, as they came in, before the client has looked at them. */
  readonly arrived: readonly Arrived[];
  close(): Promise<void>;
}

export async function playWith(open: (ears: Ears) => Promise<Session>, script: Script): Promise<Observation> {
  const heard: Said[] = [];
  const asked: Said[] = [];
  const troubles: string[] = [];
  const session = await open({
    trouble: ({ message }) => void troubles.push(message),
    async hear({ method, params }) {
      heard.push({ method, params });
    },
    answer({ method, params }) {
      asked.push({ method, params });
      const { mode } = (params ?? {}) as { readonly mode?: string };
      const answers: Readonly<Record<string, Record<string, unknown>>> = ANSWERS;
      return answers[mode === 'url' ? `${method} url` : method] ?? {};
    },
  });
  const steps: Record<string, Seen> = {};
  try {
    for (const step of script) {
      steps[step.title] = await take(session, step);
      const missing = await notHeard(heard, step);
      if (missing.length > 0) {
        const seen = JSON.stringify({ ...steps[step.title], heard, troubles });
        throw new Error(`${step.title}: never heard ${missing.join(', ')}, but ${seen}`);
      }
    }
  } finally {
    await session.close();
  }
  return { server: session.server, steps, heard, asked };
}

async function take(session: Session, step: Step): Promise<Seen> {
  const taken = new AbortController();
  const onprogress = (): void => {
    if (step.cancel === true) taken.abort();
  };
  const told = step.progress === true || step.cancel === true;
  const before = session.arrived.length;
  try {
    const result = await session.request(step, told ? { onprogress, signal: taken.signal } : {});
    if (step.progress !== true) return { result };
    // Not from onprogress: the SDKs lose there what comes in one piece with the answer (typescript-sdk#2580).
    const since = session.arrived.slice(before);
    const progress = since.filter(({ method }) => method === 'notifications/progress');
    return { result, progress: progress.map(({ params }) => params) };
  } catch (error) {
    if (taken.signal.aborted) return { cancelled: true };
    const { code, data, message } = error as { code?: unknown; data?: unknown; message: string };
    return { error: { code, message, ...(data !== undefined && { data }) } };
  }
}

const POLL_MS = 10;

/** @returns what has not been heard in time of all that a step waits for */
async function notHeard(heard: readonly Said[], { until = [] }: Step): Promise<readonly string[]> {
  const late = performance.now() + UNTIL_TIMEOUT_MS;
  for (;;) {
    const missing = until.filter((part) => !heard.some((said) => JSON.stringify(said).includes(part)));
    if (missing.length === 0 || performance.now() > late) return missing;
    await pause(POLL_MS);
  }
}
