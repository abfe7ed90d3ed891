/**
 * A destination as the fan-out tests see it: how a collector is told of it, what stands in its place, and what it
 * returns when it is asked for everything. Adding one is a file that makes a DestinationKind, and a line in kinds.ts.
 */
import type { FaultFront } from './fault-front.ts';

/** A: the collector keeps what is not delivered. B, strict: mcp-verdict does, with a cursor for each destination. */
export type Topology = 'A' | 'B';

/** One record as a destination returns it. */
export interface Returned {
  readonly body: string;
  /** What stands beside the body there, under the destination's own names. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export type Body = Readonly<Record<string, unknown>>;

export interface DestinationKind {
  /** Also the name of its endpoint in verdict.yaml, in topology B. */
  readonly name: string;
  /** After base.yaml and before what is strict; relative to collector-config/. */
  readonly config: string;
  /** What makes it strict, after `config`; its variable is COLLECTOR_STRICT_NAME_ENDPOINT. */
  readonly strictConfig: string;
  /** In the collector, for overlays of its timeout, retries and queue. */
  readonly exporter: string;
  /** Statuses upon which the collector deletes what it has in its queue, in topology A. */
  readonly deletesOn: readonly number[];
  /** @param dir a directory of its own, which is kept between starts */
  readonly start: (dir: string) => Promise<Destination>;
  /** Throws where the fields that stand beside a body there are not those that the documentation names. */
  readonly checkFields: (returned: Returned, body: Body) => void;
}

export interface Destination {
  /** For the collector: where it is (through the front), and the secrets. */
  readonly env: Readonly<Record<string, string>>;
  readonly front: FaultFront;
  /** All it holds, in any order, with the duplicates. */
  readonly read: () => Promise<readonly Returned[]>;
  /** What a user gets who asks it for everything, as files that `records verify` reads; written into `dir`. */
  readonly exportTo: (dir: string) => Promise<readonly string[]>;
  /** Ends it as its operator would, and starts it again with what it holds. */
  readonly restart: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** The variable with the address of its own receiver. */
export function strictVariable({ name }: DestinationKind): string {
  return `COLLECTOR_STRICT_${name.toUpperCase()}_ENDPOINT`;
}
