/** Tools of the official suite that need several round trips, as MCP 2026-07-28 has it (SEP-2322). */
import {
  acceptedContent,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  type ClientCapabilities,
  type InputRequests,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';

const NO_ARGUMENTS = fromJsonSchema<object>({ type: 'object', properties: {} });

/** Signed, since it comes back from the client. */
export const stateCodec = createRequestStateCodec<Record<string, unknown>>({
  key: crypto.getRandomValues(new Uint8Array(32)),
});

const texts = (value: string) => ({ content: [{ type: 'text' as const, text: value }] });

const ask = (message: string, field: string, type: 'string' | 'boolean' = 'string') => {
  const schema = type === 'string' ? ({ type: 'string' } as const) : ({ type: 'boolean' } as const);
  const requestedSchema = { type: 'object', properties: { [field]: schema }, required: [field] } as const;
  return inputRequired.elicit({ message, requestedSchema: { ...requestedSchema, required: [field] } });
};
const complete = (text: string) =>
  inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text } }],
    maxTokens: 50,
  });

const responses = (ctx: ServerContext): Readonly<Record<string, unknown>> => ctx.mcpReq.inputResponses ?? {};
const answered = (ctx: ServerContext, key: string, field: string): unknown =>
  acceptedContent(ctx.mcpReq.inputResponses, key)?.[field];
/** The state of an earlier round, whose signature the SDK has verified. */
const stateOf = (ctx: ServerContext) => ctx.mcpReq.requestState<Record<string, unknown>>();
const mint = (state: Record<string, unknown>) => stateCodec.mint({ ...state, nonce: crypto.randomUUID() });

type Round = (ctx: ServerContext) => Promise<ReturnType<typeof texts> | ReturnType<typeof inputRequired>>;

const ROUNDS: Readonly<Record<string, Round>> = {
  async test_input_required_result_elicitation(ctx) {
    const name = answered(ctx, 'user_name', 'name');
    if (typeof name === 'string') return texts(`Hello, ${name}!`);
    return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } });
  },
  async test_input_required_result_sampling(ctx) {
    const answer = responses(ctx)['capital_question'];
    if (answer !== undefined) return texts(`Sampling response: ${JSON.stringify(answer)}`);
    return inputRequired({ inputRequests: { capital_question: complete('What is the capital of France?') } });
  },
  async test_input_required_result_list_roots(ctx) {
    const answer = responses(ctx)['client_roots'];
    if (answer !== undefined) return texts(`Roots: ${JSON.stringify(answer)}`);
    return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
  },
  async test_input_required_result_request_state(ctx) {
    if (answered(ctx, 'confirm', 'ok') !== undefined && stateOf(ctx) !== undefined) return texts('state-ok');
    const inputRequests = { confirm: ask('Please confirm', 'ok', 'boolean') };
    return inputRequired({ inputRequests, requestState: await mint({ tool: 'request_state' }) });
  },
  async test_input_required_result_multiple_inputs(ctx) {
    const { user_name: name, greeting, client_roots: roots } = responses(ctx);
    if (name !== undefined && greeting !== undefined && roots !== undefined) return texts('all three came');
    const inputRequests = {
      user_name: ask('What is your name?', 'name'),
      greeting: complete('Generate a greeting'),
      client_roots: inputRequired.listRoots(),
    };
    return inputRequired({ inputRequests, requestState: await mint({ tool: 'multiple_inputs' }) });
  },
  async test_input_required_result_multi_round(ctx) {
    const round = Number(stateOf(ctx)?.['round'] ?? 0);
    if (round >= 2) return texts(`Multi-round complete: ${String(answered(ctx, 'step2', 'color'))}`);
    const inputRequests: InputRequests =
      round === 0 ? { step1: ask('Your name?', 'name') } : { step2: ask('Your favorite color?', 'color') };
    return inputRequired({ inputRequests, requestState: await mint({ round: round + 1 }) });
  },
  async test_input_required_result_tampered_state(ctx) {
    if (answered(ctx, 'confirm', 'ok') !== undefined && stateOf(ctx) !== undefined)
      return texts('integrity-ok');
    const inputRequests = { confirm: ask('Please confirm', 'ok', 'boolean') };
    return inputRequired({ inputRequests, requestState: await mint({ tool: 'tampered_state' }) });
  },
  async test_input_required_result_capabilities(ctx) {
    if (ctx.mcpReq.inputResponses !== undefined) return texts('fulfilled');
    const envelope: Readonly<Record<string, unknown>> = { ...ctx.mcpReq.envelope };
    const declared = envelope[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined;
    const inputRequests: InputRequests = {
      ...(declared?.elicitation && { user_name: ask('What is your name?', 'name') }),
      ...(declared?.sampling && { greeting: complete('Generate a short greeting') }),
      ...(declared?.roots && { client_roots: inputRequired.listRoots() }),
    };
    const none = Object.keys(inputRequests).length === 0;
    return none ? texts('nothing can be asked') : inputRequired({ inputRequests });
  },
  /** Asks without looking at what the client can: the SDK must refuse. */
  async test_missing_capability(ctx) {
    if (responses(ctx)['llm_answer'] !== undefined) return texts('answered');
    return inputRequired({ inputRequests: { llm_answer: complete('Reply with the single word: pong') } });
  },
};

/** @param changed says to all who listen that a list has changed */
export function addRounds(server: McpServer, changed: (list: 'tools' | 'prompts') => void): void {
  for (const [name, round] of Object.entries(ROUNDS)) {
    server.registerTool(name, { description: name, inputSchema: NO_ARGUMENTS }, (_, ctx) => round(ctx));
  }
  for (const [name, list] of [
    ['test_trigger_tool_change', 'tools'],
    ['test_trigger_prompt_change', 'prompts'],
  ] as const) {
    server.registerTool(name, { description: name, inputSchema: NO_ARGUMENTS }, async () => {
      changed(list);
      return texts(`${list} have changed`);
    });
  }
  const context = fromJsonSchema<object>({ type: 'object', properties: {} });
  const prompt = { description: 'asks before it renders', argsSchema: context };
  server.registerPrompt('test_input_required_result_prompt', prompt, async (_, ctx) => {
    const given = answered(ctx, 'user_context', 'context');
    if (typeof given !== 'string') {
      return inputRequired({ inputRequests: { user_context: ask('Which context?', 'context') } });
    }
    return { messages: [{ role: 'user', content: { type: 'text', text: `Use this context: ${given}` } }] };
  });
}
