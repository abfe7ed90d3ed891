/** Definitions of tools, as they come out of the strict parser. */
import assert from 'node:assert/strict';
import type { Json } from '../../../src/event/json.ts';
import { parseStrictJson } from '../../../src/proxy/message/strict-json.ts';
import { toolDigest } from '../../../src/proxy/pins/digest.ts';
import type { PinnedTool, ToolLock } from '../../../src/proxy/pins/lock.ts';

export function json(text: string): Json {
  // As in a list, where the names of arguments may look alike.
  const parsed = parseStrictJson(`[${text}]`, { foldLevels: 0 });
  assert.ok(parsed.ok && Array.isArray(parsed.value), text);
  const [value]: readonly Json[] = parsed.value;
  assert.ok(value !== undefined);
  return value;
}

export const READ_FILE = {
  name: 'read_file',
  description: 'Reads a file.',
  inputSchema: {
    type: 'object',
    properties: { path: { type: 'string', 'x-mcp-header': 'path' } },
    required: ['path'],
  },
};

export function definition(changes: object = {}): Json {
  return json(JSON.stringify({ ...READ_FILE, ...changes }));
}

export function pinned(changes: object = {}): PinnedTool {
  const tool = definition(changes);
  return { digest: toolDigest(tool), definition: tool };
}

/** A lock of one server with one tool. */
export function lockOf(...variants: readonly PinnedTool[]): ToolLock {
  return new Map([['files', new Map([['read_file', variants]])]]);
}
