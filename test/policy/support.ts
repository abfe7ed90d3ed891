import assert from 'node:assert/strict';
import { isObject, type Json } from '../../src/event/json.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { PolicyRequest } from '../../src/policy/verdict.ts';
import { parseStrictJson } from '../../src/proxy/message/strict-json.ts';

export const NOW = new Date('2026-11-22T10:00:00Z');

/** A policy whose rules are the given YAML, indented by two. */
export function policyText(rules: string, identities = ''): string {
  return `apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: test}\n${identities}rules:\n${rules}`;
}

export function policyOf(...texts: readonly string[]): Policy {
  const loaded = loadPolicy(texts.map((text, index) => ({ file: `${index}.yaml`, text })));
  assert.deepEqual(loaded.ok ? [] : loaded.faults, []);
  assert.ok(loaded.ok);
  return loaded.policy;
}

export function jsonArgs(text: string): ReadonlyMap<string, Json> {
  const parsed = parseStrictJson(text);
  assert.ok(parsed.ok && isObject(parsed.value), text);
  return parsed.value;
}

export function requestOf(given: Partial<PolicyRequest> = {}): PolicyRequest {
  return {
    identity: { source: 'api_key', keyId: 'k_01J9', user: 'alice', agent: { id: 'a1', name: 'claude-code' } },
    server: 'stripe',
    method: 'tools/call',
    tool: 'create_refund',
    args: new Map(),
    transport: 'tcp',
    ...given,
  };
}
