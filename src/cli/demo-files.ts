/** The files that the demo writes: the same that a user would write. */
import type { ApiKeyEntry } from '../identity/api-keys.ts';

export const DEMO_POLICY = `# Read top to bottom, but order does not matter: deny beats require_approval beats allow,
# and what no rule allows is denied.
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: demo, version: "1"}

identities:
  support-bots: {any: [{agent: support-bot}]}

rules:
  - id: read-anything
    effect: allow
    tools: ["shop/read_*", "shop/get_*"]

  - id: reports
    effect: allow
    tools: ["shop/list_files"]
    when: pathUnder(args.folder, '/reports')

  - id: notes-of-support
    effect: allow
    identities: [support-bots]
    tools: ["shop/write_note"]
    when: args.name.startsWith('support-')

  - id: small-refunds
    effect: allow
    identities: [support-bots]
    tools: ["shop/create_refund"]
    when: args.currency == 'eur' && args.amount <= 5000

  - id: large-refunds
    effect: require_approval
    tools: ["shop/create_refund"]
    when: args.amount > 5000
    reason: Refunds above 50.00 need a person.

  - id: queries
    effect: allow
    tools: ["shop/run_query"]

  - id: queries-only-read
    effect: deny
    tools: ["shop/run_query"]
    when: |
      !args.sql.matches(r'(?i)^\\s*select\\b')
    reason: Agents may only SELECT.

  - id: never-delete
    effect: deny
    tools: ["*/delete_*"]
    reason: Destructive tools are off for agents.
`;

/** @param upstream URL of the sample MCP server */
export function demoConfig(upstream: string): string {
  return `listen: 127.0.0.1:0
policy: [./policy.yaml]
servers:
  shop: {url: "${upstream}"}
identity: {api_keys: ./keys.yaml, anonymous: deny}
keys: {directory: ./keys}
spool: {directory: ./spool}
kill_switch: ./kill.json
`;
}

/** A keys file with one key; JSON is YAML. */
export function demoKeys(entry: ApiKeyEntry): string {
  return `${JSON.stringify({ apiVersion: 'mcp-verdict/v1', kind: 'ApiKeys', keys: [entry] }, null, 2)}\n`;
}
