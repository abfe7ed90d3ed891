import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { VerdictError } from '../../src/errors.ts';
import type { Draft } from '../../src/event/recorder.ts';
import { lockText } from '../../src/proxy/pins/lock.ts';
import type { PinMode } from '../../src/proxy/pins/pins.ts';
import { openPins, readPinning } from '../../src/service/pins.ts';
import { stderrDiagnostics } from '../../src/telemetry/diagnostics.ts';
import { definition, lockOf, pinned } from '../proxy/pins/definitions.ts';

const cwd = mkdtempSync(join(tmpdir(), 'mcp-verdict-pins-'));
after(() => rmSync(cwd, { recursive: true, force: true }));

function read(text: string | undefined, modes: Readonly<Record<string, PinMode>>) {
  const file = join(cwd, 'tools.lock.json');
  rmSync(file, { force: true });
  if (text !== undefined) writeFileSync(file, text);
  const said: string[] = [];
  const diagnostics = stderrDiagnostics('debug', (line) => void said.push(line));
  return {
    pinning: readPinning({ file, modes: new Map(Object.entries(modes)) }, cwd, diagnostics),
    said,
    diagnostics,
  };
}

describe('the pinned tools of a start', () => {
  test('are not asked for where every mode is off', () => {
    const { pinning } = read(undefined, { files: 'off' });
    assert.deepEqual([pinning.lock.size, pinning.mode('files'), pinning.mode('unknown')], [0, 'off', 'off']);
  });

  for (const mode of ['strict', 'warn'] as const) {
    test(`must be there where a mode is ${mode}, and be what they say`, () => {
      for (const [text, expected] of [
        [
          undefined,
          /^tools\.lock\.json cannot be read: there is no such file\.\nTools are pinned with: mcp-verdict tools lock$/,
        ],
        ['{', /^tools\.lock\.json:1:2 not valid JSON: it ends too early\nRestore it, or remove it and pin/],
      ] as const) {
        assert.throws(
          () => read(text, { files: mode, other: 'off' }),
          (error) => {
            assert.ok(error instanceof VerdictError && error.code === 'config_invalid');
            assert.match(error.message, expected);
            return true;
          },
        );
      }
    });
  }

  test('are missed for a server that has none of them', () => {
    const { said } = read(lockText(lockOf(pinned())), {
      files: 'strict',
      mail: 'strict',
      wiki: 'warn',
      x: 'off',
    });
    assert.equal(said.length, 2);
    assert.match(said[0] ?? '', /has no tools of the server mail: all of its tools are hidden and denied/);
    assert.match(said[1] ?? '', /has no tools of the server wiki: each of its tools is recorded/);
  });

  test('are compared with what is listed, and a change is recorded and said', () => {
    const { pinning, said, diagnostics } = read(lockText(lockOf(pinned())), { files: 'strict' });
    const drafts: Draft[] = [];
    const recorder = {
      emit: (draft: Draft) => `uid-${drafts.push(draft)}`,
      recorded: () => Promise.resolve(),
    };
    const pins = openPins(() => pinning, { recorder, diagnostics });
    const listed = (changes: object) =>
      pins.listed('files', { name: 'read_file', definition: definition(changes) });
    assert.deepEqual([listed({}), listed({ title: 'Read' })], ['show', 'hide']);
    assert.deepEqual(
      drafts.map(({ fields }) => fields['verdict.tool.difference']),
      [['/title: added "Read"']],
    );
    assert.match(
      said.join(''),
      /warn .*the tool files\/read_file is not as it is pinned: \/title: added "Read"/,
    );
  });
});
