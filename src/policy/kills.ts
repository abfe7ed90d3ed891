/**
 * The kill switch: what an operator has stopped, whatever policy says of it. It stands in a file of its own, so that
 * it is thrown in seconds, by whoever need not understand the policy. Pure.
 *
 * ```
 * {"apiVersion": "mcp-verdict/v1", "kind": "KillSwitch",
 *  "kills": [{"server": "stripe", "reason": "card data in results", "by": "alice",
 *             "since": "2026-11-22T09:00:00.000Z", "until": "2026-11-22T10:00:00.000Z"}]}
 * ```
 *
 * Each entry is for one of `all` (true), `server`, `user` (with `issuer`: of that issuer only), `agent` and `key` (the
 * id of an API key). `since` and `by` are for people.
 */
import { readDocument, type Fault } from '../document.ts';
import type { ErrorDetails } from '../errors.ts';
import type { KillScope } from '../event/vocabulary.ts';
import { isTime } from '../identity/api-keys.ts';
import type { Identity } from '../identity/identity.ts';

export interface Kill {
  readonly scope: KillScope;
  /** Which server, user, agent or key; undefined where it is for all. */
  readonly id?: string | undefined;
  /** Of a user; undefined: whoever vouches. */
  readonly issuer?: string | undefined;
  /** A sentence without a full stop, which agents are told. */
  readonly reason?: string | undefined;
  /** RFC 3339 in UTC. */
  readonly since?: string | undefined;
  /** RFC 3339 in UTC; from then on it is over. */
  readonly until?: string | undefined;
  readonly by?: string | undefined;
}

/** Entries of the file. */
export const KILLS_MAX = 1000;
/** Characters of a reason. */
export const KILL_REASON_CHARS_MAX = 300;

/** What would end a line for somebody is in no name and no sentence. */
const ONE_LINE = {
  type: 'string',
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$',
  description: 'a text on one line',
} as const;
const TEXT = { ...ONE_LINE, maxLength: 1024 } as const;
const TIME = {
  type: 'string',
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?Z$',
  description: 'a time in UTC, for example 2027-01-31T00:00:00Z',
} as const;

const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'kills'],
  properties: {
    apiVersion: { const: 'mcp-verdict/v1' },
    kind: { const: 'KillSwitch' },
    kills: {
      type: 'array',
      maxItems: KILLS_MAX,
      items: {
        type: 'object',
        additionalProperties: false,
        properties: {
          all: { const: true },
          server: TEXT,
          user: TEXT,
          issuer: TEXT,
          agent: TEXT,
          key: {
            type: 'string',
            pattern: '^k_[A-Za-z0-9]{4,32}$',
            description: 'the id of an API key: k_...',
          },
          reason: { ...ONE_LINE, maxLength: KILL_REASON_CHARS_MAX },
          since: TIME,
          until: TIME,
          by: TEXT,
        },
      },
    },
  },
} as const;

/** The member of an entry that says what it is for. */
const MEMBERS = { all: 'all', server: 'server', user: 'user', agent: 'agent', key: 'api_key' } as const;

type Member = keyof typeof MEMBERS;

/** An entry after the schema has passed it. */
type Entry = Readonly<
  Partial<Record<Exclude<Member, 'all'> | 'issuer' | 'reason' | 'since' | 'until' | 'by', string>>
> & {
  readonly all?: true;
};

export type LoadedKills =
  | { readonly ok: true; readonly kills: readonly Kill[] }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** @param file as it is to be shown in faults */
export function loadKills(file: string, text: string): LoadedKills {
  const document = readDocument({ file, text, schema: SCHEMA });
  if (!document.ok) return document;
  // The schema has checked this shape.
  const { kills: entries } = document.value as { readonly kills: readonly Entry[] };
  const faults: Fault[] = [];
  const kills = entries.flatMap((entry, index) => {
    const fault = (pointer: string, message: string): void => {
      faults.push({ file, ...document.locate(`/kills/${index}${pointer}`), message });
    };
    return killFrom(entry, fault) ?? [];
  });
  return faults.length > 0 ? { ok: false, faults } : { ok: true, kills };
}

function killFrom(entry: Entry, fault: (pointer: string, message: string) => void): Kill | undefined {
  const named = (Object.keys(MEMBERS) as Member[]).filter((member) => entry[member] !== undefined);
  const [member] = named;
  if (member === undefined || named.length > 1) {
    fault('', `must name one of ${Object.keys(MEMBERS).join(', ')}`);
    return undefined;
  }
  if (entry.issuer !== undefined && member !== 'user') fault('/issuer', 'goes with a user only');
  for (const name of ['since', 'until'] as const) {
    if (entry[name] !== undefined && !isTime(entry[name]))
      fault(`/${name}`, `there is no such time as ${entry[name]}`);
  }
  const { issuer, reason, since, until, by } = entry;
  const id = member === 'all' ? undefined : entry[member];
  return { scope: MEMBERS[member], id, issuer, reason, since, until, by };
}

/** The file that says so. */
export function killsText(kills: readonly Kill[]): string {
  const entries = kills.map(({ scope, id, ...rest }) => {
    const member = (Object.keys(MEMBERS) as Member[]).find((name) => MEMBERS[name] === scope);
    return { [member ?? 'all']: id ?? true, ...rest };
  });
  return `${JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'KillSwitch', kills: entries }, undefined, 2)}\n`;
}

/** Whether two kills are for the same, whatever else they say. */
export function isSameTarget(a: Kill, b: Kill): boolean {
  return a.scope === b.scope && a.id === b.id && a.issuer === b.issuer;
}

/** @param nowMs milliseconds since the epoch. A time that cannot be read never comes */
export function isOver({ until }: Kill, nowMs: number): boolean {
  return until !== undefined && Date.parse(until) <= nowMs;
}

/** Who sends or gets a message, as far as it is verified, and by way of which server. */
export interface Subject {
  readonly identity: Identity;
  readonly server: { readonly name: string };
}

/** The first kill that is for the subject and not over. */
export function killOf(kills: readonly Kill[], subject: Subject, nowMs: number): Kill | undefined {
  return kills.find((kill) => !isOver(kill, nowMs) && isFor(kill, subject));
}

/** The servers that are stopped by name. */
export function killedServers(kills: readonly Kill[]): ReadonlySet<string> {
  return new Set(kills.flatMap(({ scope, id }) => (scope === 'server' && id !== undefined ? [id] : [])));
}

function isFor(kill: Kill, subject: Subject): boolean {
  return MATCHES[kill.scope](kill, subject);
}

const MATCHES: Readonly<Record<KillScope, (kill: Kill, subject: Subject) => boolean>> = {
  all: () => true,
  server: ({ id }, { server }) => server.name === id,
  user: ({ id, issuer }, { identity }) =>
    identity.user !== undefined && identity.user === id && (issuer ?? identity.issuer) === identity.issuer,
  // Whoever has passed a task on acts in it too.
  agent: ({ id }, { identity: { agent, delegation = [] } }) =>
    id !== undefined && [agent?.id, agent?.name, ...delegation].includes(id),
  api_key: ({ id }, { identity }) => identity.keyId !== undefined && identity.keyId === id,
};

/** What a kill is for, in words. */
export function targetText({ scope, id, issuer }: Kill): string {
  if (scope === 'all') return 'everything';
  const name = scope === 'api_key' ? 'API key' : scope;
  return `the ${name} ${id}${issuer === undefined ? '' : ` of ${issuer}`}`;
}

/** The same, and why. */
export function reasonedText(kill: Kill): string {
  const { reason } = kill;
  return `${targetText(kill)}${reason === undefined ? '' : `: ${reason.replace(/[.\s]+$/, '')}`}`;
}

/** Of the error `killed`. */
export function killDetails(kill: Kill): ErrorDetails {
  const { until } = kill;
  return {
    target: reasonedText(kill),
    until: until === undefined ? '' : `, at ${until} at the latest`,
  };
}
