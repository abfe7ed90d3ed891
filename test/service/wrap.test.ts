import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runWrap, type WrapOptions } from '../../src/service/wrap.ts';

test('wrap refuses an exporter that writes to stdout, which is the wire, before anything starts', async () => {
  const stdout = { name: 'agent', kind: 'stdout', required: false, stdout: { format: 'json' } } as const;
  // Nothing else is looked at.
  const options = { exporters: [stdout] } as unknown as WrapOptions;
  await assert.rejects(runWrap(options), {
    code: 'config_invalid',
    message: /^the exporter agent writes to stdout, .* use file, http, syslog or otlp instead$/,
  });
});
