/** From the typed fields of a draft to the attributes of a record. */
import { hideSecrets } from './secrets.ts';
import { copied, cutText } from './text.ts';
import { ARRAY_ITEMS_MAX, KEYS, STRING_BYTES_MAX } from './vocabulary.ts';
import type { Event, EventKey, Fields, Scalar } from './vocabulary.ts';

/**
 * Strings that stay exactly as they are. What we make ourselves (ids, hashes, times, names from our own files) holds
 * no secret; what was verified has to be told apart to the last digit; and arguments are redacted before they come
 * here, or are shown in full because a rule says so. All else may be a caller's or a server's text.
 */
const EXACT: ReadonlySet<EventKey> = new Set<EventKey>([
  'log.record.uid',
  'verdict.time',
  'verdict.stream.id',
  'verdict.stream.previous_hash',
  'verdict.decision.uid',
  'verdict.policy.name',
  'verdict.policy.file',
  'verdict.policy.version',
  'verdict.policy.digest',
  'verdict.rule.id',
  'verdict.shadow.rule.id',
  'verdict.tool.digest',
  'verdict.tool.pinned_digest',
  'mcp.session.id',
  'server.address',
  'client.address',
  'gen_ai.operation.name',
  'user.id',
  'user.roles',
  'gen_ai.agent.id',
  'gen_ai.agent.name',
  'verdict.identity.issuer',
  'verdict.identity.delegation',
  'verdict.approval.approver.id',
  'verdict.arguments.keys',
  'verdict.arguments.hmac',
  'verdict.arguments.redacted',
  'gen_ai.tool.call.arguments',
  'verdict.approval.id',
  'verdict.kill.id',
  'verdict.kill.issuer',
  'verdict.kill.until',
  'verdict.lifecycle.public_key',
  'verdict.lifecycle.adopted',
  'verdict.checkpoint.stream',
  'verdict.checkpoint.hash',
  'verdict.checkpoint.signature',
  'verdict.checkpoint.key_id',
  'verdict.gap.stream',
  'verdict.gap.exporter',
  'verdict.gap.last_hash',
]);

/** Another text on each record: to remember it would only drive out those that come again. */
const UNIQUE: ReadonlySet<EventKey> = new Set<EventKey>(['jsonrpc.request.id']);

interface Attribute {
  readonly type: (typeof KEYS)[number]['type'];
  readonly bytesMax: number;
  /** Whether secrets are to be looked for in it. */
  readonly free: boolean;
  /** Whether the same text is to be expected again. */
  readonly recurs: boolean;
}

const ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map(
  KEYS.filter((row) => !('bodyOnly' in row)).map((row) => [
    row.key,
    {
      type: row.type,
      bytesMax: 'bytesMax' in row ? row.bytesMax : STRING_BYTES_MAX,
      free: !('values' in row) && !EXACT.has(row.key),
      recurs: !UNIQUE.has(row.key),
    },
  ]),
);

/**
 * The attributes of a record: strings without secrets, well-formed and cut to their row's cap, arrays cut to
 * ARRAY_ITEMS_MAX.
 *
 * Left out is what is undefined, what the vocabulary does not know or carries in the body only, what has another
 * type than its row says, and an integer that a double cannot hold exactly: a clamped number would be a false one.
 */
export function toAttributes(fields: Fields): Event {
  // A plain loop into an object: each record comes this way, and lists of pairs cost more than all the rest.
  // Only keys of the vocabulary are assigned, so none of them is `__proto__`.
  const attributes: Record<string, Scalar> = {};
  const given: Readonly<Record<string, unknown>> = fields;
  for (const key of Object.keys(given)) {
    const value = given[key];
    if (value === undefined) continue;
    const attribute = ATTRIBUTES.get(key);
    const fit = attribute && fitting(value, attribute);
    if (fit !== undefined) attributes[key] = fit;
  }
  return attributes;
}

function fitting(value: unknown, attribute: Attribute): Scalar | undefined {
  switch (attribute.type) {
    case 'string':
      return typeof value === 'string' ? fittingText(value, attribute) : undefined;
    case 'int':
      // Adding 0 makes 0 of -0, which canonical JSON cannot tell apart.
      return typeof value === 'number' && Number.isSafeInteger(value) ? value + 0 : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'strings':
      return Array.isArray(value) ? fittingItems(value, attribute) : undefined;
    default:
      return undefined;
  }
}

function fittingText(text: string, { bytesMax, free, recurs }: Attribute): string {
  if (!free) return cutText(text, bytesMax).text;
  // As much again as is shown is looked through, so that a secret across the cut is seen whole.
  const window = text.slice(0, 2 * bytesMax);
  return cutText(recurs ? withoutSecrets(window) : hideSecrets(window), bytesMax).text;
}

/** Texts that hold no secret: the names, versions and sentences of a process are few, and looking costs more. */
const clean = new Set<string>();
export const CLEAN_TEXTS_MAX = 1024;
const CLEAN_CHARS_MAX = 256;

/** As `hideSecrets`, and quick for a text that comes again and again. */
export function withoutSecrets(text: string): string {
  if (clean.has(text)) return text;
  const hidden = hideSecrets(text);
  if (hidden !== text || text.length > CLEAN_CHARS_MAX) return hidden;
  if (clean.size >= CLEAN_TEXTS_MAX) clean.clear();
  // A tool's name, say, is a part of a message.
  clean.add(copied(text));
  return text;
}

function fittingItems(items: readonly unknown[], attribute: Attribute): readonly string[] {
  return items
    .slice(0, ARRAY_ITEMS_MAX)
    .filter((item) => typeof item === 'string')
    .map((item) => fittingText(item, attribute));
}
