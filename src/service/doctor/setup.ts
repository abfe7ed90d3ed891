/** What is examined: the set-up of `serve` from its file, or that of `wrap` from its command line. */
import type { Environment, ServeConfig } from '../../config.ts';
import type { OAuthClient } from '../../config/oauth-client.ts';
import type { PinsConfig } from '../../config/pins.ts';
import type { SpoolConfig } from '../../config/spool.ts';
import type { ExporterPlan } from '../../export/delivery-message.ts';

/** A server that calls would go to. */
export type Upstream =
  | {
      readonly kind: 'http';
      readonly name: string;
      readonly url: URL;
      /** May hold secrets. */
      readonly headers: Readonly<Record<string, string>>;
      readonly oauth?: OAuthClient | undefined;
    }
  | {
      readonly kind: 'stdio';
      readonly name: string;
      readonly command: string;
      readonly args: readonly string[];
      /** The child's whole environment. */
      readonly env: Environment;
      readonly cwd?: string | undefined;
    };

export interface Listener {
  readonly name: 'listen' | 'admin';
  readonly host: string;
  readonly port: number;
}

export interface Setup {
  /** undefined for `wrap`, which has none. */
  readonly config: ServeConfig | undefined;
  readonly policyFiles: readonly string[];
  readonly pins: PinsConfig;
  readonly keysDirectory: string;
  readonly killSwitchFile: string;
  readonly spool: SpoolConfig;
  /** undefined: the environment alone decides. */
  readonly exporters: readonly ExporterPlan[] | undefined;
  readonly onAuditFailure: 'deny' | 'allow';
  readonly upstreams: readonly Upstream[];
  readonly listeners: readonly Listener[];
}

export function setupOfServe(config: ServeConfig): Setup {
  const { admin, listen } = config;
  return {
    ...config,
    config,
    upstreams: [...config.servers.values()].map((server) =>
      server.kind === 'http' ? server : { kind: 'stdio', name: server.name, ...server.command },
    ),
    listeners: [
      { name: 'listen', ...listen },
      ...(admin === undefined ? [] : [{ name: 'admin' as const, ...admin }]),
    ],
  };
}
