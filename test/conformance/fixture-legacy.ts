/** Tools of the official suite that talk to the client while they run, as MCP has it up to 2025-11-25. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fromJsonSchema, type McpServer, type ServerContext } from '@modelcontextprotocol/server';

const NO_ARGUMENTS = fromJsonSchema<object>({ type: 'object', properties: {} });
const STEP_MS = 50;
/** Long enough for a client to see that its stream has been closed. */
const CLOSED_MS = 100;

const texts = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });
const oneString = (name: string) =>
  fromJsonSchema<Record<string, string>>({
    type: 'object',
    properties: { [name]: { type: 'string' } },
    required: [name],
  });

const SCHEMA_DEFAULTS = {
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true },
} as const;

const titled = (word: string) =>
  ['First', 'Second', 'Third'].map((title, at) => ({ const: `value${at + 1}`, title: `${title} ${word}` }));
const OPTIONS = ['option1', 'option2', 'option3'];
const SCHEMA_ENUMS = {
  untitledSingle: { type: 'string', enum: OPTIONS },
  titledSingle: { type: 'string', oneOf: titled('Option') },
  legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['One', 'Two', 'Three'] },
  untitledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { type: 'string', enum: OPTIONS } },
  titledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { anyOf: titled('Choice') } },
};

/** Asks the client's user; what comes back is told in the tool's text, failure too. */
async function elicit(
  ctx: ServerContext,
  message: string,
  properties: object,
  required: readonly string[] = [],
) {
  const requestedSchema = { type: 'object', properties, required };
  // The schemas of the suite are of every form that the protocol has; the request type wants one of them.
  const params = { message, requestedSchema } as never;
  try {
    const { action, content } = await ctx.mcpReq.send({ method: 'elicitation/create', params });
    return texts(`Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`);
  } catch (error) {
    return texts(`Elicitation failed: ${String(error)}`);
  }
}

async function sample(ctx: ServerContext, prompt: string) {
  const messages = [{ role: 'user' as const, content: { type: 'text' as const, text: prompt } }];
  try {
    const params = { messages, maxTokens: 100 };
    const result = await ctx.mcpReq.send({ method: 'sampling/createMessage', params });
    return texts(`LLM response: ${JSON.stringify(result.content)}`);
  } catch (error) {
    return texts(`Sampling failed: ${String(error)}`);
  }
}

/** @param closeStream ends the stream that a request is answered on */
export function addTalkativeTools(server: McpServer, closeStream: (ctx: ServerContext) => void): void {
  const tool = (name: string, run: (ctx: ServerContext) => Promise<ReturnType<typeof texts>>): void => {
    server.registerTool(name, { description: name, inputSchema: NO_ARGUMENTS }, (_, ctx) => run(ctx));
  };
  tool('test_tool_with_logging', async (ctx) => {
    for (const data of ['started', 'at work', 'done']) {
      await ctx.mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data } });
      await pause(STEP_MS);
    }
    return texts('logged');
  });
  tool('test_tool_with_progress', async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
      const params = { progressToken: progressToken ?? '', progress, total: 100 };
      await ctx.mcpReq.notify({ method: 'notifications/progress', params });
      await pause(STEP_MS);
    }
    return texts('done');
  });
  // No scenario calls it: it ends when it is told to, and not before.
  tool('waits_to_be_cancelled', async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    if (progressToken !== undefined) {
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
    }
    await once(ctx.mcpReq.signal, 'abort');
    return texts('cancelled');
  });
  tool('test_logging_tool', async (ctx) => {
    await ctx.mcpReq.log('info', 'told to those who asked for it');
    return texts('logged');
  });
  tool('test_reconnection', async (ctx) => {
    closeStream(ctx);
    await pause(CLOSED_MS);
    return texts('Whoever reads this has come back for it.');
  });
  tool('test_elicitation_sep1034_defaults', (ctx) => elicit(ctx, 'Review the defaults', SCHEMA_DEFAULTS));
  tool('test_elicitation_sep1330_enums', (ctx) => elicit(ctx, 'Select options', SCHEMA_ENUMS));
  const inputSchema = oneString('message');
  server.registerTool('test_elicitation', { description: 'asks', inputSchema }, ({ message }, ctx) =>
    elicit(ctx, message ?? '', { response: { type: 'string' } }, ['response']),
  );
  const prompt = oneString('prompt');
  server.registerTool('test_sampling', { description: 'asks a model', inputSchema: prompt }, (args, ctx) =>
    sample(ctx, args['prompt'] ?? ''),
  );
}
