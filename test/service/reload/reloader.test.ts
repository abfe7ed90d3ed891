/** Files that change under our eyes: what is taken, what is refused, and when. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReadText, Seen } from '../../../src/config/text-file.ts';
import { VerdictError } from '../../../src/errors.ts';
import { createReloader } from '../../../src/service/reload/reloader.ts';

/** `root` names files, one a line; the value is what all of them hold. A file that holds `bad` is invalid. */
function readAll(read: ReadText): string {
  const named = read('root').split('\n').filter(Boolean);
  const texts = named.map((file) => read(file));
  if (texts.includes('bad')) throw new VerdictError('config_invalid', { detail: 'bad' });
  return texts.join('+');
}

function open(files: Record<string, string>) {
  const events: string[] = [];
  const looked: string[] = [];
  const firstLookAt = (file: string): Seen => {
    looked.push(file);
    const text = files[file];
    return text === undefined
      ? { ok: false, error: new VerdictError('file_unreadable', { file, detail: 'gone' }) }
      : { ok: true, text };
  };
  const reloader = createReloader<string>({
    roots: ['root'],
    lookAt: (file) => Promise.resolve(firstLookAt(file)),
    firstLookAt,
    load: readAll,
    take: (loaded, asked) => void events.push(asked ? `asked ${loaded}` : loaded),
    refuse: (error) => void events.push(`refused: ${error.message}`),
  });
  const look = async (times = 1): Promise<string[]> => {
    for (let time = 0; time < times; time += 1) await reloader.look(false);
    return events.splice(0);
  };
  return { files, reloader, look, events, looked };
}

describe('a reloader', () => {
  test('takes what two looks in turn have found, once', async () => {
    const { files, look } = open({ root: 'a', a: '1' });
    // The second look is the first that sees what the root names.
    assert.deepEqual(await look(2), []);
    assert.deepEqual(await look(), ['1']);
    assert.deepEqual(await look(3), []);
    files['a'] = '2';
    assert.deepEqual(await look(), []);
    assert.deepEqual(await look(), ['2']);
    assert.deepEqual(await look(3), []);
  });

  test('never takes what was there at one look only', async () => {
    const { files, look } = open({ root: 'a\nb', a: '1', b: '1' });
    await look(3);
    files['a'] = 'bad';
    assert.deepEqual(await look(), []);
    files['a'] = '2';
    assert.deepEqual(await look(), []);
    files['b'] = '2';
    assert.deepEqual(await look(), []);
    assert.deepEqual(await look(), ['2+2']);
  });

  test('refuses each content once, and takes the next good one', async () => {
    const { files, look } = open({ root: 'a', a: '1' });
    await look(3);
    files['a'] = 'bad';
    assert.deepEqual(await look(4), ['refused: bad']);
    files['a'] = '1';
    assert.deepEqual(await look(4), ['1']);
  });

  test('sees a file that has gone, and one that has come back', async () => {
    const { files, look } = open({ root: 'a', a: '1' });
    await look(3);
    delete files['a'];
    assert.deepEqual(await look(3), ['refused: a cannot be read: gone.']);
    files['a'] = '1';
    assert.deepEqual(await look(3), ['1']);
  });

  test('watches on what was named before a fault in the root, and what is named after', async () => {
    const { files, look } = open({ root: 'a', a: '1' });
    await look(3);
    delete files['root'];
    await look(3);
    Object.assign(files, { root: 'a\nb', b: '7' });
    assert.deepEqual(await look(), []);
    assert.deepEqual(await look(), [], 'b was seen once');
    assert.deepEqual(await look(), ['1+7']);
    files['b'] = '8';
    assert.deepEqual(await look(2), ['1+8']);
  });

  test('looks no more at what is not named any more', async () => {
    const { files, look, looked } = open({ root: 'a\nb', a: '1', b: '2' });
    await look(3);
    files['root'] = 'a';
    assert.deepEqual(await look(2), ['1']);
    looked.splice(0);
    await look();
    assert.deepEqual(looked, ['root', 'a']);
  });

  test('that is asked takes what is there at once, changed or not', async () => {
    const { files, reloader, events, look } = open({ root: 'a', a: '1' });
    await reloader.look(true);
    await reloader.look(true);
    files['a'] = 'bad';
    await reloader.look(true);
    assert.deepEqual(events, ['asked 1', 'asked 1', 'refused: bad']);
    events.splice(0);
    assert.deepEqual(await look(3), [], 'what was told is not told again');
  });

  test('outlives a fault of ours', async () => {
    const events: string[] = [];
    const reloader = createReloader<string>({
      roots: [],
      lookAt: () => Promise.reject(new Error('never')),
      firstLookAt: () => assert.fail('there is no file'),
      load: () => {
        throw new TypeError('oops');
      },
      take: () => {},
      refuse: ({ message }) => void events.push(message),
    });
    await reloader.look(true);
    assert.deepEqual(events, ['the files could not be read: TypeError: oops']);
  });
});
