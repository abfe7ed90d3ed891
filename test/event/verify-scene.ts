/** Streams as a proxy writes them, for whoever wants to break them. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { checkpointFields } from '../../src/event/checkpoint.ts';
import { eventTime } from '../../src/event/clock.ts';
import { toAttributes } from '../../src/event/fields.ts';
import { parsePublicKey, signingKey } from '../../src/event/signing.ts';
import type { PublicKey, SigningKey } from '../../src/event/signing.ts';
import { bodyHash, firstLink, stamp } from '../../src/event/stamp.ts';
import type { Link } from '../../src/event/stamp.ts';
import { createVerifier } from '../../src/event/verify.ts';
import type { VerifierOptions } from '../../src/event/verify.ts';
import type { VerifyReport } from '../../src/event/verify-report.ts';
import type { EventName, Fields, LifecycleState } from '../../src/event/vocabulary.ts';

export const START_MS = Date.parse('2026-11-22T09:00:00Z');

export function newKey(): SigningKey {
  return signingKey(generateKeyPairSync('ed25519').privateKey);
}

export function publicOf(key: SigningKey): PublicKey {
  const parsed = parsePublicKey(key.publicKeyText);
  if (parsed === undefined) throw new Error('no key');
  return parsed;
}

/** Always the same, for the golden files. What stands before the seed is PKCS #8 (RFC 8410, section 7). */
export const KEY = signingKey(
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]),
    format: 'der',
    type: 'pkcs8',
  }),
);

export function streamId(index: number): string {
  return `019aaaaa-0000-7000-8000-${String(index).padStart(12, '0')}`;
}

export interface SceneOptions {
  readonly key?: SigningKey;
  readonly previousHash?: string;
}

/** Writes one stream, one record a second. */
export class Scene {
  readonly bodies: string[] = [];
  readonly stream: string;
  readonly key: SigningKey;
  #link: Link;

  constructor(index: number, { key = KEY, previousHash }: SceneOptions = {}) {
    this.stream = streamId(index);
    this.key = key;
    this.#link = firstLink(this.stream, previousHash);
  }

  get last(): { stream: string; sequence: number; hash: string } {
    return { stream: this.stream, sequence: this.#link.sequence - 1, hash: this.#link.previousHash };
  }

  /** The place of a record that is written already. */
  place(sequence: number): { stream: string; sequence: number; hash: string } {
    return { stream: this.stream, sequence, hash: bodyHash(this.bodies[sequence - 1] ?? '') };
  }

  record(name: EventName, fields: Fields, severity = 9): this {
    const { sequence, streamId: stream } = this.#link;
    const { body, next } = stamp(this.#link, {
      name,
      severity,
      service: { name: 'mcp-verdict', instanceId: 'i' },
      attributes: toAttributes({
        'log.record.uid': `${stream}/${sequence}`,
        'verdict.time': eventTime(BigInt(START_MS + sequence * 1000) * 1_000_000n).rfc3339,
        ...fields,
      }),
    });
    this.bodies.push(body);
    this.#link = next;
    return this;
  }

  start(): this {
    return this.lifecycle('start', { 'verdict.lifecycle.public_key': this.key.publicKeyText });
  }

  lifecycle(state: LifecycleState, fields: Fields = {}): this {
    return this.record('verdict.lifecycle', { 'verdict.lifecycle.state': state, ...fields });
  }

  calls(count: number): this {
    for (let call = 0; call < count; call += 1) {
      this.record('verdict.decision', {
        'verdict.decision.effect': 'allow',
        'verdict.decision.reason': 'rule',
        'gen_ai.tool.name': `tool-${this.#link.sequence}`,
      });
    }
    return this;
  }

  checkpoint(place = this.last): this {
    return this.record('verdict.checkpoint', checkpointFields(this.key, place));
  }

  stop(): this {
    return this.lifecycle('stop').checkpoint();
  }
}

/** start, 3 calls, checkpoint over 4, 3 calls, stop at 9, checkpoint at 10. */
export function wholeStream(index = 1, options: SceneOptions = {}): Scene {
  return new Scene(index, options).start().calls(3).checkpoint().calls(3).stop();
}

/** Writes a stream anew from a record on, as whoever has no key would: every hash fits again. */
export function rechain(
  bodies: readonly string[],
  edit: (members: Record<string, unknown>, at: number) => void,
) {
  let previous: string | undefined;
  return bodies.map((body, at) => {
    const members = JSON.parse(body) as Record<string, unknown>;
    edit(members, at);
    if (previous !== undefined) members['verdict.stream.previous_hash'] = previous;
    const text = canonical(members);
    previous = bodyHash(text);
    return text;
  });
}

/** Canonical for flat members. */
export function canonical(members: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(members).toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

export function edit(body: string, changes: Readonly<Record<string, unknown>>): string {
  return canonical({ ...(JSON.parse(body) as object), ...changes });
}

export const TRUSTED: VerifierOptions = { publicKeys: [publicOf(KEY)] };

export function verify(bodies: readonly string[], options: VerifierOptions = TRUSTED): VerifyReport {
  const verifier = createVerifier(options);
  for (const body of bodies) verifier.add(body);
  return verifier.report();
}

/** `kind from-to` of each finding, sorted. */
export function told({ findings }: VerifyReport): string[] {
  return findings
    .map(({ kind, range }) => (range === undefined ? kind : `${kind} ${range.from}-${range.to}`))
    .toSorted();
}
