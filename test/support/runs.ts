/** How often a property is tried where a try is dear: a few times with the unit tests, and often in the long lane. */
const LONG_RUNS = Number(process.env['MCP_VERDICT_MODEL_RUNS'] ?? 0);

/** The long lane sets MCP_VERDICT_MODEL_RUNS=5000. */
export function runs(fast: number): number {
  return Math.max(fast, LONG_RUNS);
}
