import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runCli, startCli } from '../support/cli.ts';
import { checkChains } from '../support/chain.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../support/otlp-receiver.ts';

describe('the demo', () => {
  let receiver: OtlpReceiver;
  before(async () => {
    receiver = await startOtlpReceiver();
  });
  after(() => receiver.close());

  test('with nothing set shows every decision with its rule and trace, one whole record, and ends by itself', async () => {
    const { code, stdout, stderr } = await runCli(['demo']);
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    const decisions = stdout.match(/^(ALLOW|DENY|APPROVAL) .*$/gm) ?? [];
    assert.equal(decisions.length, 23);
    for (const line of decisions) assert.match(line, / trace [0-9a-f]{32}$/);
    for (const rule of [
      'read-anything',
      'never-delete',
      'large-refunds',
      'queries-only-read',
      'method_unknown',
      'identity_invalid',
    ]) {
      assert.match(stdout, new RegExp(` ${rule} `));
    }
    assert.match(
      stdout,
      /The sample server saw 7 tool calls: get_weather, read_note, read_note, list_files, write_note, create_refund, run_query\./,
    );
    assert.match(stdout, /"timeUnixNano"/);
    assert.doesNotMatch(stdout, /hunter2/, 'a password in the arguments was shown');
    assert.doesNotMatch(stdout, /\u001b/, 'colour was written to a pipe');
  });

  test('with an endpoint delivers the same decisions there', async () => {
    const { code, stdout } = await runCli(['demo'], { env: { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url } });
    assert.equal(code, 0);
    const logs = receiver.logs();
    assert.equal(logs.filter((log) => log.eventName === 'verdict.decision').length, 23);
    assert.equal(checkChains(logs), 1);
    assert.match(stdout, new RegExp(`${logs.length} records were delivered to ${receiver.url}\\.`));
  });

  test('with --keep runs until it is told to stop', async () => {
    const running = startCli(['demo', '--keep']);
    await running.waitFor(/claude mcp add --transport http shop http:\S+ --header "Authorization: Bearer k_/);
    assert.deepEqual(await running.stop('SIGINT'), { code: 0, signal: null });
  });
});
