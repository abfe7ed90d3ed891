/** What the doors of the matrix let through. */

/** Agents of that name are refused what a policy can refuse; all others nothing. */
export const isGuarded = (agent: string): boolean => agent.endsWith('guarded');

const METHODS = [
  'prompts/get',
  'resources/*',
  'completion/complete',
  'subscriptions/listen',
  'sampling/createMessage',
  'elicitation/create',
  'roots/list',
];

export const POLICY = `
apiVersion: mcp-verdict/v1
kind: Policy
metadata: {name: clients, version: "1"}
rules:
  - {id: tools, effect: allow, tools: ["*/*"]}
  - {id: methods, effect: allow, methods: ${JSON.stringify(METHODS)}}
`;
