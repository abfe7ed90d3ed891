/** The record of a tool that is not as it is pinned. Pure. */
import type { Draft } from '../../event/recorder.ts';
import { SEVERITY } from '../../event/vocabulary.ts';
import type { ToolChange } from './pins.ts';

export function changeRecord({ server, mode, tool, suppressed }: ToolChange): Draft {
  return {
    name: 'verdict.lifecycle',
    severity: SEVERITY.deny,
    fields: {
      'verdict.lifecycle.state': 'tool_changed',
      'verdict.server.name': server,
      'gen_ai.tool.name': tool?.name,
      'verdict.tool.digest': tool?.digest,
      'verdict.tool.pinned_digest': tool?.pinned,
      'verdict.tool.difference':
        tool === undefined || tool.difference.length === 0 ? undefined : tool.difference,
      'verdict.tool.pin': mode,
      'verdict.tool.suppressed': suppressed === 0 ? undefined : suppressed,
    },
  };
}

/** The same as a line for the operator. */
export function changeLine({ server, mode, tool, suppressed }: ToolChange): string {
  const more =
    suppressed === 0 ? '' : `${suppressed} more tools of the server ${server} are not as they are pinned`;
  if (tool === undefined) return more;
  const what =
    tool.pinned === undefined ? 'is not pinned' : `is not as it is pinned: ${tool.difference.join('; ')}`;
  const done = mode === 'strict' ? ' (hidden and denied)' : '';
  return `the tool ${server}/${tool.name} ${what}${done}${more === '' ? '' : `; ${more}`}`;
}
