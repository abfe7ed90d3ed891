/** What the matrix does with each server. */
import { join } from 'node:path';
import type { ServerName } from './doors.ts';
import { DENIED } from './policy.ts';
import type { Script, Step } from './script.ts';

const list = (what: 'tools' | 'prompts' | 'resources' | 'resources/templates'): Step => ({
  title: `${what} are listed`,
  method: `${what}/list`,
});
const call = (title: string, name: string, args: object = {}, more: Partial<Step> = {}): Step => ({
  title,
  method: 'tools/call',
  params: { name, arguments: args },
  ...more,
});
const read = (title: string, uri: string, more: Partial<Step> = {}): Step => ({
  title,
  method: 'resources/read',
  params: { uri },
  ...more,
});
const prompt = (title: string, name: string, args: object = {}): Step => ({
  title,
  method: 'prompts/get',
  params: { name, arguments: args },
});
const LISTS = (['tools', 'prompts', 'resources', 'resources/templates'] as const).map(list);

const DOCUMENT = 'demo://resource/static/document/features.md';

/** server-everything, which knows 2025-11-25 only. @param unique no other run's: its sessions see each other's files */
export const everything = (unique: string): Script => [
  ...LISTS,
  call('a tool is called', 'echo', { message: 'ünïcödé \u{1f600} "quoted" \\ \u2028' }),
  call('a tool answers with structure', 'get-structured-content', { location: 'New York' }),
  call('a tool answers with an image', 'get-tiny-image'),
  call('a tool answers with links', 'get-resource-links', { count: 3 }),
  call('a tool answers with annotations', 'get-annotated-message', {
    messageType: 'error',
    includeImage: true,
  }),
  call('a tool is called wrongly', 'get-sum', { a: 'one' }),
  call('a tool is called that is not there', 'no-such-tool'),
  call(
    'a tool tells its progress',
    'trigger-long-running-operation',
    { duration: 0.2, steps: 4 },
    { progress: true },
  ),
  call(
    'a call is taken back',
    'trigger-long-running-operation',
    // Told of the first step, a client on a busy machine has the time of the others to take it back.
    { duration: 3, steps: 30 },
    { cancel: true },
  ),
  read('a resource is read', DOCUMENT),
  prompt('a prompt is got', 'simple-prompt'),
  prompt('a prompt is got with arguments', 'args-prompt', { city: 'Zürich', state: 'ZH' }),
  {
    title: 'an argument of a prompt is completed',
    method: 'completion/complete',
    params: {
      ref: { type: 'ref/prompt', name: 'completable-prompt' },
      argument: { name: 'name', value: 'A' },
      context: { arguments: { department: 'Engineering' } },
    },
  },
  {
    title: 'an argument of a template is completed',
    method: 'completion/complete',
    params: {
      ref: { type: 'ref/resource', uri: 'demo://resource/dynamic/text/{resourceId}' },
      argument: { name: 'resourceId', value: '7' },
    },
  },
  {
    title: 'a resource is subscribed to',
    method: 'resources/subscribe',
    params: { uri: DOCUMENT },
    until: ['Received Subscribe Resource'],
  },
  call('its updates begin', 'toggle-subscriber-updates', {}, { until: ['notifications/resources/updated'] }),
  call('its updates end', 'toggle-subscriber-updates'),
  { title: 'the subscription is given up', method: 'resources/unsubscribe', params: { uri: DOCUMENT } },
  call('the server asks for roots', 'get-roots-list', {}, { until: ['Roots updated'] }),
  call('the server asks a model', 'trigger-sampling-request', { prompt: 'What now?', maxTokens: 7 }),
  call('the server asks the user', 'trigger-elicitation-request'),
  call('the server sends the user to a page', 'trigger-url-elicitation', {
    url: 'https://page.example/',
    message: 'Go there.',
    elicitationId: `page-${unique}`,
  }),
  call(
    'a tool makes a resource',
    'gzip-file-as-resource',
    { name: `${unique}.gz`, data: 'data:text/plain,hello' },
    { until: ['notifications/resources/list_changed'] },
  ),
  read('what the tool has made is read', `demo://resource/session/${unique}.gz`),
  { title: 'the log level is set', method: 'logging/setLevel', params: { level: 'warning' } },
  { title: 'the server is alive', method: 'ping' },
  // Last, since SDK 1.32 comes back for the stream of an error a second later, and this server then sends all of the
  // session again.
  read('a resource is read that is not there', 'demo://resource/static/document/none.md'),
  prompt('a prompt is got wrongly', 'args-prompt'),
];

/** server-filesystem, in a directory that holds note.txt. */
export const files = (directory: string): Script => [
  list('tools'),
  call('a file is read', 'read_text_file', { path: join(directory, 'note.txt') }),
  call('a directory is listed', 'list_directory', { path: directory }),
  call('a file is read that is not there', 'read_text_file', { path: join(directory, 'none.txt') }),
  call('a file is read outside', 'read_text_file', { path: '/etc/hostname' }),
  call('the server names its directories', 'list_allowed_directories'),
];

/** server-memory, whose graph is empty before and after. */
export const memory: Script = [
  list('tools'),
  call('entities are made', 'create_entities', {
    entities: [{ name: 'Ada', entityType: 'person', observations: ['wrote a program', 'wrote it first'] }],
  }),
  call('a node is found', 'search_nodes', { query: 'program' }),
  call('the graph is read', 'read_graph'),
  call('entities are deleted', 'delete_entities', { entityNames: ['Ada'] }),
  call('the graph is empty again', 'read_graph'),
];

/** The conformance fixture, as a client of either era uses it. */
export const fixture: Script = [
  ...LISTS,
  ...['test_simple_text', 'test_image_content', 'test_audio_content', 'test_multiple_content_types'].map(
    (name) => call(`${name} is called`, name),
  ),
  call('a tool fails', 'test_error_handling'),
  call('a tool is called that is not there', 'no-such-tool'),
  call('a tool mirrors an argument in a header', 'test_x_mcp_header', { region: 'Zürich, "CH"', level: 3 }),
  call('a tool takes a schema of 2020-12', 'json_schema_2020_12_tool', {
    name: 'Ada',
    email: 'ada@host.example',
  }),
  call('a tool tells its progress', 'test_tool_with_progress', {}, { progress: true }),
  call('a call is taken back', 'waits_to_be_cancelled', {}, { cancel: true }),
  read('a text is read', 'test://static-text'),
  read('bytes are read', 'test://static-binary'),
  read('a template is read', 'test://template/7/data'),
  read('a resource is read that is not there', 'test://none'),
  prompt('a prompt is got', 'test_simple_prompt'),
  prompt('a prompt is got with arguments', 'test_prompt_with_arguments', { arg1: 'ä', arg2: '"' }),
  {
    title: 'an argument of a prompt is completed',
    method: 'completion/complete',
    params: {
      ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' },
      argument: { name: 'arg1', value: '' },
    },
  },
];

/** What the fixture does up to 2025-11-25. */
export const fixtureLegacy: Script = [
  ...fixture,
  call('the server asks a model', 'test_sampling', { prompt: 'What now?' }),
  call('the server asks the user', 'test_elicitation', { message: 'Who are you?' }),
  call('the server logs', 'test_tool_with_logging', {}, { until: ['started', 'at work', 'done'] }),
];

/** What it does over HTTP only: it ends the stream of a call, whose answer the client comes back for. */
export const fixtureResumed: Script = [call('a client resumes the stream of a call', 'test_reconnection')];

/** What the fixture does in 2026-07-28. */
export const fixtureModern: Script = [
  ...fixture,
  ...['elicitation', 'sampling', 'list_roots', 'request_state', 'multiple_inputs'].map((name) =>
    call(`a tool needs input: ${name}`, `test_input_required_result_${name}`, {}, { requests: 2 }),
  ),
  call('a tool needs input twice', 'test_input_required_result_multi_round', {}, { requests: 3 }),
  { ...prompt('a prompt needs input', 'test_input_required_result_prompt'), requests: 2 },
  {
    title: 'changes are listened to',
    method: 'subscriptions/listen',
    params: { toolsListChanged: true, promptsListChanged: true },
  },
  call('tools change', 'test_trigger_tool_change', {}, { until: ['notifications/tools/list_changed'] }),
  call('prompts change', 'test_trigger_prompt_change', {}, { until: ['notifications/prompts/list_changed'] }),
];

const SINGLES: Readonly<Record<ServerName, (directory: string) => Script>> = {
  everything: () => [call('a tool is called wrongly', 'get-sum', { a: 'one' })],
  fixture: () => [
    call('a tool mirrors an argument in a header', 'test_x_mcp_header', { region: 'Zürich', level: 3 }),
    read('a resource is read that is not there', 'test://none'),
  ],
  files: (directory) => [call('a file is read', 'read_text_file', { path: join(directory, 'note.txt') })],
  memory: () => [call('the graph is read', 'read_graph')],
};

/** For clients that make one request and end. */
export const singles = (server: ServerName, directory: string): Script => SINGLES[server](directory);

const listen: Step = {
  title: 'changes are listened to',
  method: 'subscriptions/listen',
  params: { toolsListChanged: true },
};

/** What a guarded agent does with the fixture: all of it is denied, or what the server then asks for is. */
export const refused = (revision: string): Script => [
  list('tools'),
  call('a denied tool is called', DENIED.tool),
  prompt('a denied prompt is got', DENIED.prompt, { arg1: 'a', arg2: 'b' }),
  read('a denied resource is read', DENIED.uri),
  {
    title: 'an argument of a prompt is completed',
    method: 'completion/complete',
    params: { ref: { type: 'ref/prompt', name: DENIED.prompt }, argument: { name: 'arg1', value: '' } },
  },
  ...(revision === '2026-07-28'
    ? [
        listen,
        call('the server asks a model', 'test_input_required_result_sampling'),
        call('the server asks the user', 'test_input_required_result_elicitation'),
        call('the server asks for roots', 'test_input_required_result_list_roots'),
        prompt('a prompt asks the user', 'test_input_required_result_prompt'),
      ]
    : [
        {
          title: 'a denied resource is subscribed to',
          method: 'resources/subscribe',
          params: { uri: DENIED.uri },
        } as const,
        call('the server asks a model', 'test_sampling', { prompt: 'What now?' }),
        call('the server asks the user', 'test_elicitation', { message: 'Who are you?' }),
      ]),
];
