/** What learns of tools as servers list them, and may keep one from being shown: tool pinning. */
import type { Json } from '../../event/json.ts';

/** One entry of an answer to tools/list. */
export interface ListedTool {
  /** A plain name (call.ts): one that a tools/call can name. */
  readonly name: string;
  /** Strictly parsed: no key stands twice in one object. Keys may differ in case only, below the members of the tool. */
  readonly definition: Json;
  /** The definition as it was sent: its UTF-8 is what stood in the answer, byte for byte. */
  readonly text: string;
}

export interface Catalogue {
  /**
   * Called for each tool of each answer to tools/list that passes, in order, before it is asked what the caller
   * may see: also for tools that stay hidden from this one. An answer is one page of a list. Must not throw.
   * @param server its key in our configuration
   * @returns `hide` keeps the tool from the client, whatever policy says
   */
  listed(server: string, tool: ListedTool): 'show' | 'hide';
}
