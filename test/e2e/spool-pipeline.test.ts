import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { SEVERITY, type Fields } from '../../src/event/vocabulary.ts';
import { openSpoolPipeline } from '../../src/export/spool-pipeline.ts';
import { nodeFiles } from '../../src/spool/node-files.ts';
import { fillStream } from '../bench/fill.ts';
import { linesAt } from '../support/spooled.ts';
import { hear } from '../telemetry/heard.ts';

const root = mkdtempSync(join(tmpdir(), 'mcp-verdict-pipeline-'));
after(() => rmSync(root, { recursive: true, force: true }));

const resource = resourceFromAttributes({ 'service.name': 'mcp-verdict', 'service.instance.id': 'i-1' });

describe('the pipeline of the service', () => {
  test('a draft is recorded under the uid that it got', async () => {
    const directory = join(root, 'ours');
    const pipeline = await openSpoolPipeline({
      directory,
      resource,
      service: { name: 'mcp-verdict', instanceId: 'i-1', version: '1' },
      diagnostics: hear().diagnostics,
      exporters: [],
    });
    const uid = pipeline.emit({
      name: 'verdict.lifecycle',
      severity: SEVERITY.info,
      fields: { 'verdict.lifecycle.state': 'start' },
    });
    await pipeline.recorded(uid);
    const [stream = ''] = nodeFiles.list(directory);
    const lines = linesAt(nodeFiles, join(directory, stream, '00000000000000000001.log'));
    const mine = lines.find(({ json }) => json.includes(uid));
    assert.match(mine?.json ?? '', /"verdict.lifecycle.state":"start"/);
    assert.deepEqual(await pipeline.stop(1000), { waiting: 0, exporters: {} });
    const late = pipeline.emit({ name: 'verdict.lifecycle', severity: SEVERITY.info, fields: {} });
    await assert.rejects(pipeline.recorded(late), { code: 'audit_unavailable' });
  });

  test('a stream that is taken over at the start is named by the record of the start, and by no other', async (t) => {
    const directory = join(root, 'taken-over');
    fillStream(directory, 1);
    const pipeline = await openSpoolPipeline({
      directory,
      resource,
      service: { name: 'mcp-verdict', instanceId: 'i-1', version: '1' },
      diagnostics: hear().diagnostics,
      exporters: [],
    });
    t.after(() => pipeline.stop(0));
    const { adopted } = pipeline.spool;
    assert.equal(adopted.length, 1);
    const fields: Fields = { 'verdict.lifecycle.state': 'start', 'verdict.lifecycle.adopted': adopted };
    const uid = pipeline.emit({ name: 'verdict.lifecycle', severity: SEVERITY.info, fields });
    await pipeline.recorded(uid);
    const naming = nodeFiles
      .list(directory)
      .flatMap((stream) => linesAt(nodeFiles, join(directory, stream, '00000000000000000001.log')))
      .filter(({ json }) => json.includes('"verdict.lifecycle.adopted"'));
    assert.equal(naming.length, 1, naming.map(({ json }) => json).join('\n'));
  });

  test('a draft that no record can be made of throws nothing, is told, and is not said to be recorded', async () => {
    const { diagnostics, text } = hear();
    const pipeline = await openSpoolPipeline({
      directory: join(root, 'broken'),
      resource,
      service: { name: 'mcp-verdict', instanceId: 'i-1', version: '1' },
      diagnostics,
      exporters: [],
    });
    const fields = {
      get 'verdict.lifecycle.state'(): never {
        throw new Error('no such thing');
      },
    };
    const uid = pipeline.emit({ name: 'verdict.lifecycle', severity: SEVERITY.info, fields });
    assert.match(text(), /a record could not be made: Error: no such thing/);
    await assert.rejects(pipeline.recorded(uid), { code: 'audit_unavailable' });
    await pipeline.stop(1000);
  });
});
