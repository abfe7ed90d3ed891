/** An MCP server over HTTP that answers at once, whatever it is asked; a process of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const ID = /"id":("[^"]*"|\d+)/;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const [, id = 'null'] = ID.exec(Buffer.concat(chunks).toString('latin1')) ?? [];
    const body = `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"shipped"}]}}`;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  });
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  // A server that listens on TCP has an AddressInfo.
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
});
