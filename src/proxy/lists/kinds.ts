/** The lists of MCP (2025-11-25 and 2026-07-28, schema): what each is asked for with, and what it holds. */
import type { ItemKind } from '../../policy/visible.ts';
import type { ListName } from './changes.ts';

export interface ListKind {
  readonly kind: ItemKind;
  /** The capability that a server with such a list has. */
  readonly name: ListName;
  /** The request that it answers. */
  readonly method: string;
  /** The member of the result that holds the items. */
  readonly member: string;
  /** The member of an item that requests name it by. */
  readonly key: 'name' | 'uri' | 'uriTemplate';
}

export const LIST_KINDS: readonly ListKind[] = [
  { kind: 'tool', name: 'tools', method: 'tools/list', member: 'tools', key: 'name' },
  { kind: 'prompt', name: 'prompts', method: 'prompts/list', member: 'prompts', key: 'name' },
  { kind: 'resource', name: 'resources', method: 'resources/list', member: 'resources', key: 'uri' },
  {
    kind: 'template',
    name: 'resources',
    method: 'resources/templates/list',
    member: 'resourceTemplates',
    key: 'uriTemplate',
  },
];

const BY_METHOD: ReadonlyMap<string, ListKind> = new Map(LIST_KINDS.map((list) => [list.method, list]));

/** undefined for a method that asks for no list. */
export function listOf(method: string): ListKind | undefined {
  return BY_METHOD.get(method);
}
