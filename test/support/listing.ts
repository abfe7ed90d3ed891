/** What the tests of lists at the doors share: a policy that denies `drop`, and answers to lists. */
import { createListChanges } from '../../src/proxy/lists/changes.ts';
import { createLists } from '../../src/proxy/lists/lists.ts';
import { NOW, policyOf, policyText } from '../policy/support.ts';

export const LISTED_POLICY = policyOf(
  policyText(`  - {id: all, effect: allow, identities: [anonymous, authenticated], tools: ["*/*"]}
  - {id: no-drop, effect: deny, identities: [anonymous, authenticated], tools: ["*/drop"]}
`),
);

/** What a gate shows of answers under that policy. */
export const LISTED = { show: createLists({ policy: () => LISTED_POLICY, now: () => NOW }) };

/** The same, where other policy may come into force. */
export function changingLists() {
  let version = 0;
  const changes = createListChanges(() => [version]);
  const listChanges = changes.subscribe;
  return {
    lists: { show: createLists({ policy: () => LISTED_POLICY, now: () => NOW, listChanges }), listChanges },
    change(): void {
      version += 1;
      changes.check();
    },
  };
}

export const ALL_TOOLS = '{"tools":[{"name":"drop"}, {"name":"read"}],"nextCursor":"2"}';
export const SHOWN_TOOLS = '{"tools":[{"name":"read"}],"nextCursor":"2"}';
/** No two readers need read the same. */
export const DOUBLE_TOOLS = '{"tools":[{"name":"read"}],"tools":[{"name":"drop"}]}';

export const answerText = (id: number, result: string): string =>
  `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
export const listRequest = (id: number, method = 'tools/list') => ({ jsonrpc: '2.0', id, method });
