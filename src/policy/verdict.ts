/** What the evaluator is asked and what it answers. Pure data: no I/O, no clock. */
import type { Json } from '../event/json.ts';
import type { Effect, Reason } from '../event/vocabulary.ts';
import type { Identity } from '../identity/identity.ts';

/** One message as policy sees it. */
export interface PolicyRequest {
  readonly identity: Identity;
  /** The upstream's key in verdict.yaml. */
  readonly server: string;
  /** JSON-RPC method, e.g. `tools/call`. */
  readonly method: string;
  /** Tool name on `tools/call`, else undefined. */
  readonly tool?: string | undefined;
  /** Prompt name on `prompts/get`. */
  readonly prompt?: string | undefined;
  /** URI on `resources/*`. */
  readonly uri?: string | undefined;
  /** `params.arguments` on tools/call and prompts/get; an empty Map where there are none. */
  readonly args: ReadonlyMap<string, Json>;
  readonly transport: 'tcp' | 'pipe';
  readonly protocolVersion?: string | undefined;
  readonly clientAddress?: string | undefined;
}

export interface PolicyRef {
  readonly name: string;
  /** As configured. */
  readonly file: string;
  readonly version?: string | undefined;
}

/**
 * How a denial is told: `explained` says what happened and why; `hidden` says what a server says that has no such
 * thing.
 */
export const DENIAL_STYLES = ['explained', 'hidden'] as const;

export type DenialStyle = (typeof DENIAL_STYLES)[number];

export interface Verdict {
  readonly effect: Effect;
  /** `rule`, `default`, `policy_error` or `approval_required`. */
  readonly reason: Reason;
  /** One sentence for people and agents: the rule's own `reason` where it has one. */
  readonly message: string;
  readonly ruleId?: string | undefined;
  /** The deciding rule's file; absent on a default. */
  readonly policy?: PolicyRef | undefined;
  /** `sha256:HEX` of all policy in force. */
  readonly digest: string;
  /** How the deciding rule, which denies, wants to be told; absent where it does not say. */
  readonly style?: DenialStyle | undefined;
}
