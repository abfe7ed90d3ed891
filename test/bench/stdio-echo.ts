/** A stdio MCP server that answers each line at once; a process of its own. */
const ID = /"id":("[^"]*"|\d+)/;
let rest = '';

process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop() ?? '';
  const answers = lines.map((line) => {
    const [, id = 'null'] = ID.exec(line) ?? [];
    return `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"shipped"}]}}\n`;
  });
  if (answers.length > 0) process.stdout.write(answers.join(''));
});
