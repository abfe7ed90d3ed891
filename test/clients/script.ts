/**
 * What a user does, as data, so that clients in any language play the same; and what such a run has shown. Played once
 * without and once with the proxy between, the two must have shown the same.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Route } from './doors.ts';

/** Methods that a step can use; each client has its own function for each. */
export type Method =
  | 'tools/list'
  | 'prompts/list'
  | 'resources/list'
  | 'resources/templates/list'
  | 'tools/call'
  | 'prompts/get'
  | 'resources/read'
  | 'completion/complete'
  | 'resources/subscribe'
  | 'resources/unsubscribe'
  | 'subscriptions/listen'
  | 'logging/setLevel'
  | 'ping';

export interface Step {
  /** Unique in its script. */
  readonly title: string;
  readonly method: Method;
  /** As MCP has them, without `_meta`. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** Asks for progress. */
  readonly progress?: true;
  /** Asks for progress, and takes the request back at the first. */
  readonly cancel?: true;
  /** How many requests it takes: a tool that needs input is called once more with it. Default: 1. */
  readonly requests?: number;
  /** Over only when all of these are part of a notification, as JSON, that was heard since the start of the run. */
  readonly until?: readonly string[];
}

export type Script = readonly Step[];

/** What became of a step. */
export interface Seen {
  readonly result?: unknown;
  readonly error?: { readonly code?: unknown; readonly message: string; readonly data?: unknown };
  readonly cancelled?: true;
  readonly progress?: readonly unknown[];
}

export interface Said {
  readonly method: string;
  readonly params?: unknown;
}

export interface Observation {
  readonly server: {
    readonly version?: unknown;
    readonly info?: unknown;
    readonly capabilities?: unknown;
    readonly instructions?: unknown;
  };
  readonly steps: Readonly<Record<string, Seen>>;
  /** Notifications that belong to no request, in the order in which they came. */
  readonly heard: readonly Said[];
  /** What the server asked of the client, likewise. */
  readonly asked: readonly Said[];
}

/** Where a client connects to. */
export type Endpoint =
  | { readonly kind: 'http'; readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | {
      readonly kind: 'stdio';
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    };

/** A client that plays scripts. */
export interface Player {
  /** In the names of tests. */
  readonly name: string;
  /** The revision that it and a server of both eras agree on. */
  readonly revision: '2025-11-25' | '2026-07-28';
  /** Whether it talks to servers that know 2025-11-25 only. */
  readonly legacy: boolean;
  readonly speaks: readonly Endpoint['kind'][];
  /** Titles of steps that it does not do well, with or without us. */
  readonly cannot?: readonly string[];
  /** Ways that it goes, of those that it can; default: all. */
  readonly goes?: (route: Route) => boolean;
  /** Names of those that it goes in the fast lane; default: all. One through each kind of door must be among them. */
  readonly fast?: readonly string[];
  /** Whether it plays single requests only, each in a session of its own. */
  readonly single?: true;
  /** Answers all that it is asked, see ANSWERS. Closes what it has opened, whatever happens. */
  play(endpoint: Endpoint, script: Script): Promise<Observation>;
}

/** What every client answers to what a server asks. */
export const ANSWERS = {
  'sampling/createMessage': {
    role: 'assistant',
    content: { type: 'text', text: 'A model would say this.' },
    model: 'none',
    stopReason: 'endTurn',
  },
  'elicitation/create': {
    action: 'accept',
    content: { name: 'Ada', response: 'yes', ok: true, color: 'blue', context: 'none' },
  },
  'elicitation/create url': { action: 'accept' },
  // Nowhere, so that a server of files keeps the directories that it was started with.
  'roots/list': { roots: [{ uri: 'file:///nowhere/at-all', name: 'nowhere' }] },
} as const;

/** How long a step may wait for its `until`. */
export const UNTIL_TIMEOUT_MS = 20_000;

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** Numbered over all clients of a process, in the Python SDK. */
const LISTEN = /\blisten[-:][0-9]+/g;

/** An observation that can be compared: without what is of one run alone, and without orders that are nobody's promise. */
function comparable(observation: Observation): Observation {
  const masked = JSON.parse(
    JSON.stringify(observation).replaceAll(UUID, 'UUID').replaceAll(LISTEN, 'LISTEN'),
  ) as Observation;
  // They come on streams of their own, and timers repeat some: what was said counts, not when nor how often.
  const set = (all: readonly Said[]): Said[] =>
    [...new Set(all.map((said) => JSON.stringify(said)))].toSorted().map((text) => JSON.parse(text) as Said);
  return { ...masked, heard: set(masked.heard), asked: set(masked.asked) };
}

/** What differs between two of them, a line each. */
export function differences(left: Observation, right: Observation): string[] {
  const parts = ({ steps, ...rest }: Observation): Readonly<Record<string, unknown>> => ({
    ...rest,
    ...steps,
  });
  const [one, other] = [parts(comparable(left)), parts(comparable(right))];
  return [...new Set([...Object.keys(one), ...Object.keys(other)])]
    .filter((part) => !isDeepStrictEqual(one[part], other[part]))
    .map((part) => `${part}: ${JSON.stringify(one[part])} is not ${JSON.stringify(other[part])}`);
}
