import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamAnnouncement } from '../../src/export/delivery-message.ts';
import { createSpoolSource } from '../../src/export/spool-source.ts';
import type { Opener } from '../../src/export/spool-source.ts';
import { backlogOf } from '../../src/export/stream-source.ts';
import type { CursorPosition, DurablePosition } from '../../src/spool/position.ts';
import { IDENTITY, STREAM } from './memory-stream.ts';

const AT_20: DurablePosition = { stream: STREAM, segment: 1, offset: 200, sequence: 20, hash: 'h' };
const END = { stream: STREAM, sequence: 20, hash: 'h' };
const ANNOUNCED: StreamAnnouncement = { identity: IDENTITY, first: 1, durable: AT_20 };

function start() {
  const opened: Parameters<Opener['reader']>[0][] = [];
  const closed: string[] = [];
  const finished: string[] = [];
  let position: CursorPosition | undefined;
  let refusals = 0;
  const open: Opener = {
    reader(options) {
      if (refusals-- > 0) throw new Error('EMFILE');
      opened.push(options);
      return {
        stream: options.stream,
        next: () => ({ records: [], damages: [] }),
        ended: () => options.end !== undefined,
        close: () => void closed.push('reader'),
      };
    },
    cursor: () => ({
      position: () => position,
      advance: (next) => void (position = next),
      flush: () => {},
      close: () => void closed.push('cursor'),
    }),
  };
  const durable = new Map<string, DurablePosition>();
  const source = createSpoolSource({
    exporter: 'otlp',
    open,
    durable: (stream) => durable.get(stream),
    onFinished: (stream) => void finished.push(stream),
  });
  return { source, opened, closed, finished, durable, refuse: (times: number) => (refusals = times) };
}

test('a stream is opened when it is first read, at the cursor; asking how much waits opens nothing', () => {
  const { source, opened, durable } = start();
  source.add(ANNOUNCED);
  source.add(ANNOUNCED);
  assert.equal(backlogOf(source), 20);
  assert.equal(opened.length, 0);
  const [stream] = source.streams();
  stream?.cursor.advance({ sequence: 5, segment: 1, offset: 50 });
  stream?.reader.next(1, 1);
  assert.equal(opened[0]?.from?.sequence, 5);
  durable.set(STREAM, { ...AT_20, sequence: 30 });
  assert.equal(opened[0].durable()?.sequence, 30);
  assert.equal(backlogOf(source), 25);
});

test('a stream that turns out to be over is opened again, from the cursor, and only then has an end', () => {
  const { source, opened, closed } = start();
  source.add(ANNOUNCED);
  const stream = source.streams()[0]!;
  stream.reader.next(1, 1);
  stream.cursor.advance({ sequence: 9, segment: 1, offset: 90 });
  source.end(END);
  assert.equal(stream.reader.ended(), false);
  stream.reader.next(1, 1);
  assert.deepEqual([opened[1]?.from?.sequence, opened[1]?.end], [9, END]);
  assert.deepEqual(closed, ['reader']);
  assert.equal(stream.reader.ended(), true);
});

test('what retention has freed is neither read nor counted as waiting', () => {
  const { source, opened } = start();
  source.add({ ...ANNOUNCED, first: 3 });
  assert.equal(backlogOf(source), 18);
  source.streams()[0]?.reader.next(1, 1);
  source.kept(STREAM, 11);
  assert.equal(opened[0]?.keptFrom(), 11);
  assert.equal(backlogOf(source), 10);
});

test('a stream that cannot be opened now can be the next time', () => {
  const { source, opened, refuse } = start();
  source.add(ANNOUNCED);
  refuse(1);
  assert.throws(() => source.streams()[0]?.reader.next(1, 1), /EMFILE/);
  source.streams()[0]?.reader.next(1, 1);
  assert.equal(opened.length, 1);
});

test('a stream that is finished is closed and no longer there', () => {
  const { source, closed, finished } = start();
  source.add({ ...ANNOUNCED, end: END });
  const stream = source.streams()[0]!;
  stream.reader.next(1, 1);
  source.finished(stream);
  assert.deepEqual([closed, finished, source.streams()], [['reader', 'cursor'], [STREAM], []]);
});

test('a stream that is taken over later comes before the one that is still written', () => {
  const { source } = start();
  source.add(ANNOUNCED);
  const old = '019aaaaa-0000-4000-8000-0000000000bb';
  source.add({ ...ANNOUNCED, durable: { ...AT_20, stream: old }, end: { ...END, stream: old } });
  assert.deepEqual(
    source.streams().map(({ stream }) => stream),
    [old, STREAM],
  );
});
