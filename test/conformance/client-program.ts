/** What the suite starts as a client: it has the one in the test's own process play, and ends as that has ended. */
import { request } from 'node:http';

const [host = '', route = '', url = ''] = process.argv.slice(2);
const { MCP_CONFORMANCE_SCENARIO, MCP_CONFORMANCE_PROTOCOL_VERSION, MCP_CONFORMANCE_CONTEXT } = process.env;

const outgoing = request(host, { method: 'POST' }, (incoming) => {
  incoming.pipe(process.stderr);
  process.exitCode = incoming.statusCode === 200 ? 0 : 1;
});
outgoing.end(
  JSON.stringify({
    route,
    url,
    scenario: MCP_CONFORMANCE_SCENARIO,
    protocolVersion: MCP_CONFORMANCE_PROTOCOL_VERSION,
    context: MCP_CONFORMANCE_CONTEXT,
  }),
);
