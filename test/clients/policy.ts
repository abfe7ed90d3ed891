/** What the doors of the matrix let through. */

const GOVERNED = [
  'prompts/get',
  'resources/*',
  'completion/complete',
  'subscriptions/listen',
  'sampling/createMessage',
  'elicitation/create',
  'roots/list',
];

/** What a guarded agent may not: of each method one thing, or all. */
export const DENIED = {
  tool: 'some_other_tool',
  prompt: 'test_prompt_with_arguments',
  uri: 'test://static-text',
} as const;

/** @param guarded agents that are refused what DENIED names; nobody else is refused anything */
export function policyFor(guarded: readonly string[]): string {
  const rule = (id: string, effect: string, rest: object): string =>
    `  - ${JSON.stringify({ id, effect, ...rest })}\n`;
  const deny = (id: string, rest: object): string => rule(id, 'deny', { identities: ['guarded'], ...rest });
  // A group has members.
  const members = ['nobody', ...guarded].map((agent) => ({ agent }));
  return [
    'apiVersion: mcp-verdict/v1\nkind: Policy\nmetadata: {name: clients, version: "1"}\n',
    `identities: ${JSON.stringify({ guarded: { any: members } })}\nrules:\n`,
    rule('tools', 'allow', { tools: ['*/*'] }),
    rule('methods', 'allow', { methods: GOVERNED }),
    deny('no-tool', { tools: [`*/${DENIED.tool}`] }),
    deny('no-prompt', { methods: ['prompts/get'], when: `request.prompt == '${DENIED.prompt}'` }),
    deny('no-uri', {
      methods: ['resources/read', 'resources/subscribe'],
      when: `request.uri == '${DENIED.uri}'`,
    }),
    deny('no-methods', { methods: GOVERNED.slice(2) }),
  ].join('');
}
