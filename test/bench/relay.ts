/** What a proxy costs that does nothing: bytes in, bytes out, kept connections; a process of its own. */
import { Agent, createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

const target = new URL(process.argv[2] ?? '');
const agent = new Agent({ keepAlive: true, maxSockets: Infinity });

const server = createServer((incoming, outgoing) => {
  const { method, headers } = incoming;
  const request = send(target, { method, headers: { ...headers, host: target.host }, agent }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  request.on('error', () => outgoing.destroy());
  incoming.pipe(request);
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  // A server that listens on TCP has an AddressInfo.
  process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`);
});
