import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { SpoolLogRecordProcessor } from '../../src/export/spool-processor.ts';
import { nodeFiles } from '../../src/spool/node-files.ts';
import { eventually } from '../support/eventually.ts';
import { startOtlpReceiver } from '../support/otlp-receiver.ts';
import { linesAt } from '../support/spooled.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-processor-'));
after(() => rmSync(root, { recursive: true, force: true }));

const resource = resourceFromAttributes({
  'service.name': 'their-app',
  'service.instance.id': 'i-1',
  odd: ['a'],
});
const UID = '019aaaaa-0000-7000-8000-000000000009';

function bodies(directory: string): string[] {
  return nodeFiles
    .list(directory)
    .flatMap((stream) => linesAt(nodeFiles, join(directory, stream, '00000000000000000001.log')))
    .map(({ json }) => json)
    .filter((json) => !json.startsWith('{"verdict.se'));
}

describe('the processor in another program', () => {
  test('keeps and delivers what its loggers emit, and tells when it is durable', async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(receiver.close);
    const directory = join(root, 'theirs');
    const processor = await SpoolLogRecordProcessor.open({
      directory,
      resource,
      exporters: [
        { name: 'otlp', kind: 'otlp', required: true, endpoint: { url: `${receiver.url}/v1/logs` } },
      ],
    });
    t.after(() => processor.stop(0));
    const provider = new LoggerProvider({ resource, processors: [processor] });
    provider.getLogger('their-logger').emit({ body: 'paid', attributes: { 'log.record.uid': UID } });
    await processor.recorded(UID);
    assert.ok(bodies(directory).some((body) => body.includes('"log.record.original":"paid"')));
    await assert.rejects(processor.recorded('another'), { code: 'audit_unavailable' });
    provider.getLogger('their-logger').emit({ body: 'second' });
    await provider.forceFlush();
    assert.ok(bodies(directory).some((body) => body.includes('"log.record.original":"second"')));
    const came = () =>
      receiver.logs().filter(({ attributes }) => attributes['log.record.original'] !== undefined);
    await eventually('both are delivered', () => came().length === 2);
    const [log] = came();
    assert.equal(log?.resource['service.name'], 'their-app');
    await provider.shutdown();
    provider.getLogger('their-logger').emit({ body: 'late', attributes: { 'log.record.uid': 'late' } });
    await assert.rejects(processor.recorded('late'), { code: 'audit_unavailable' });
    assert.equal((await processor.stop(0)).waiting, 0, 'to stop twice is to stop once');
  });

  test('cannot be opened where another file lies, and says so', async () => {
    const directory = join(root, 'theirs', 'file');
    await assert.rejects(
      SpoolLogRecordProcessor.open({ directory: '/dev/null/spool', resource, exporters: [] }),
      /ENOTDIR|EEXIST|spool/,
    );
    await assert.rejects(
      SpoolLogRecordProcessor.open({
        directory,
        resource,
        exporters: [{ name: 'NO GOOD', kind: 'otlp', required: true }],
      }),
      { code: 'config_invalid' },
    );
  });
});
