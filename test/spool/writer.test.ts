import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DurablePosition } from '../../src/spool/position.ts';
import {
  COMMIT_RECORDS_MAX,
  LINGER_MS,
  RESTART_MS,
  RETRY_MS,
  startSpoolWriter,
  WAITING_MAX,
} from '../../src/spool/writer.ts';
import { IDENTITY, SPOOL, STREAM } from '../support/spooled.ts';
import { citation, scene, ScriptedThread, SECOND, turn } from './writer-scene.ts';

describe('gathering', () => {
  test('what is waited for in one turn is one commit, and what comes meanwhile is the next', async (t) => {
    const { thread, append, ask, told } = await scene(t);
    append('note');
    append('a');
    void ask('a');
    append('b');
    void ask('b');
    await turn();
    assert.deepEqual(thread.commits, [['note', 'a', 'b']]);
    append('c');
    void ask('c');
    append('d');
    void ask('d');
    await turn();
    assert.equal(thread.commits.length, 1, 'one commit is out at a time');
    assert.equal(told.size, 0);
    thread.commit();
    await turn();
    assert.deepEqual(
      [...told],
      [
        ['a', 'recorded'],
        ['b', 'recorded'],
      ],
    );
    assert.deepEqual(thread.commits[1], ['c', 'd']);
  });

  test(`what nobody waits for goes after ${LINGER_MS} ms`, async (t) => {
    const { thread, append, time } = await scene(t);
    append('a');
    time.tick(LINGER_MS - 1);
    append('b');
    assert.equal(thread.commits.length, 0);
    time.tick(1);
    assert.deepEqual(thread.commits, [['a', 'b']]);
  });

  test(`a commit has at most ${COMMIT_RECORDS_MAX} records`, async (t) => {
    const { thread, append, time } = await scene(t);
    for (let index = 0; index <= COMMIT_RECORDS_MAX; index += 1) append(`r${index}`);
    time.tick(LINGER_MS);
    assert.equal(thread.commits[0]?.length, COMMIT_RECORDS_MAX);
    thread.commit();
    assert.deepEqual(thread.commits[1], [`r${COMMIT_RECORDS_MAX}`]);
  });

  test('nobody is told that a record is durable which was never appended', async (t) => {
    const { writer } = await scene(t);
    await assert.rejects(writer.recorded('never'), { code: 'audit_unavailable' });
  });

  test('who asks late is told the truth', async (t) => {
    const { writer, thread, append, ask, time } = await scene(t);
    append('good');
    time.tick(LINGER_MS);
    thread.commit();
    await writer.recorded('good');
    append('bad');
    void ask('bad');
    await turn();
    thread.refuse();
    await assert.rejects(writer.recorded('bad'), { code: 'audit_unavailable' });
  });

  test('a record that no line can hold is refused alone', async (t) => {
    const { writer, thread, append, ask, told } = await scene(t);
    append('a');
    writer.append('huge', { head: `{"a":"${'x'.repeat(2 ** 20)}",`, tail: '}' }, false);
    void ask('huge');
    void ask('a');
    await turn();
    assert.deepEqual(thread.commits, [['a']]);
    thread.commit();
    await turn();
    assert.deepEqual(
      [...told],
      [
        ['huge', 'refused'],
        ['a', 'recorded'],
      ],
    );
  });

  test('every durable position goes to the delivery thread, and to one that asks late the last one', async (t) => {
    const { writer, thread, append, time } = await scene(t);
    const port = writer.durablePort();
    const next = (from: typeof port): Promise<DurablePosition> =>
      new Promise((resolve) => from.once('message', resolve));
    assert.equal((await next(port)).sequence, 0);
    append('a');
    time.tick(LINGER_MS);
    thread.commit();
    assert.deepEqual(await next(port), thread.position());
    assert.equal(writer.position().sequence, 1);
    const late = writer.durablePort();
    assert.deepEqual(await next(late), thread.position());
    port.close();
    late.close();
  });
});

describe('a disk that refuses', () => {
  test('who waits is refused at once, and what nobody waits for is tried again in its order', async (t) => {
    const { writer, thread, append, ask, told, time, troubles } = await scene(t);
    append('note');
    append('call');
    void ask('call');
    await turn();
    append('later');
    thread.refuse();
    await turn();
    assert.deepEqual([...told], [['call', 'refused']]);
    assert.equal(writer.healthy(), false);
    assert.deepEqual(writer.counts(), { committed: 0, refused: 1, lost: 0 });
    time.tick(RETRY_MS);
    assert.deepEqual(thread.commits[1], ['note', 'later']);
    thread.refuse();
    assert.equal(troubles.length, 1, 'one outage is said once');
    time.tick(RETRY_MS);
    thread.commit();
    assert.equal(writer.healthy(), true);
    assert.deepEqual(writer.counts(), { committed: 2, refused: 1, lost: 0 });
  });

  test('trouble is told when it is so: unhealthy when it begins, healthy when it is over', async (t) => {
    const { writer, thread, append, ask, time, troubles, healthAtTrouble } = await scene(t);
    append('call');
    void ask('call');
    await turn();
    thread.refuse();
    append('note');
    time.tick(RETRY_MS);
    thread.commit();
    assert.deepEqual(troubles, [
      'the spool refuses records: ENOSPC: no space',
      'the spool takes records again',
    ]);
    assert.deepEqual(healthAtTrouble, [false, true]);
    assert.equal(writer.counts().refused, 1);
  });

  test('a call is not hung up behind what fills every commit', async (t) => {
    const { thread, append, ask, told, time } = await scene(t);
    for (let index = 0; index < COMMIT_RECORDS_MAX + 1; index += 1) append(`note${index}`);
    time.tick(LINGER_MS);
    thread.refuse();
    append('call');
    void ask('call');
    await turn();
    assert.equal(thread.commits.length, 2);
    thread.refuse();
    await turn();
    assert.deepEqual([...told], [['call', 'refused']]);
    assert.equal(thread.commits.length, 2, 'and nothing spins');
  });

  test('each call tries the disk anew', async (t) => {
    const { thread, append, ask, told } = await scene(t);
    append('a');
    void ask('a');
    await turn();
    thread.refuse();
    append('b');
    void ask('b');
    await turn();
    thread.commit();
    await turn();
    assert.deepEqual(
      [...told],
      [
        ['a', 'refused'],
        ['b', 'recorded'],
      ],
    );
  });

  test('who only watches is told, and the record is not given up', async (t) => {
    const { writer, thread, append, ask, told, time } = await scene(t);
    append('start');
    void ask('start', 'written');
    await turn();
    thread.refuse();
    await turn();
    assert.deepEqual([...told], [['start', 'refused']]);
    assert.deepEqual(writer.counts(), { committed: 0, refused: 0, lost: 0 });
    time.tick(RETRY_MS);
    assert.deepEqual(thread.commits[1], ['start']);
    thread.commit();
    await writer.written('start');
  });

  test(`beyond ${WAITING_MAX} records the oldest that nobody waits for is lost, and counted`, async (t) => {
    const { writer, thread, append, time } = await scene(t);
    append('first');
    time.tick(LINGER_MS);
    thread.refuse();
    for (let index = 0; index < WAITING_MAX; index += 1) append(`r${index}`);
    assert.equal(writer.counts().lost, 1);
    await assert.rejects(writer.recorded('first'));
    time.tick(RETRY_MS);
    assert.equal(thread.commits[1]?.[0], 'r0');
  });
});

describe('a stream that ends under its writer', () => {
  test('its successor is made known, and the waiting records are answered for there', async (t) => {
    const { writer, thread, append, ask, told, successions } = await scene(t);
    append('call');
    void ask('call');
    await turn();
    const position = { ...thread.position(), stream: SECOND };
    const end = citation(thread.position());
    thread.say({ kind: 'succeeded', end, next: { identity: IDENTITY, position }, text: 'EIO' });
    assert.equal(writer.stream.position.stream, SECOND);
    thread.say({ kind: 'committed', position: { ...position, sequence: 1 } });
    await turn();
    assert.deepEqual(successions, [`${STREAM} 0 -> ${SECOND}`]);
    assert.deepEqual([...told], [['call', 'recorded']]);
    assert.deepEqual(writer.position(), { ...position, sequence: 1 });
  });
});

describe('a writer thread that dies', () => {
  test('what it held is refused, and a new one continues where the old one was known to be', async (t) => {
    const { writer, threads, thread, append, ask, told, time, successions } = await scene(t);
    append('good');
    void ask('good');
    await turn();
    thread.commit();
    append('note');
    append('call');
    void ask('call');
    await turn();
    thread.emit('exit');
    await turn();
    assert.equal(told.get('call'), 'refused');
    assert.equal(writer.healthy(), false);
    time.tick(RESTART_MS);
    const second = threads[1] ?? assert.fail();
    assert.deepEqual(second.plan.predecessor, citation(thread.position()));
    second.ready(SECOND);
    assert.deepEqual(successions, [`${STREAM} 1 -> ${SECOND}`]);
    assert.deepEqual(second.commits, [['note']]);
  });

  test('calls that come meanwhile are refused, not kept waiting, and leave no record', async (t) => {
    const { threads, thread, append, ask, told, time } = await scene(t);
    thread.emit('exit');
    append('call');
    void ask('call');
    append('note');
    await turn();
    assert.deepEqual([...told], [['call', 'refused']]);
    time.tick(RESTART_MS);
    threads[1]?.ready(SECOND);
    time.tick(RETRY_MS);
    assert.deepEqual(threads[1]?.commits, [['note']]);
  });

  test('one that cannot begin is started again, one at a time', async (t) => {
    const { threads, thread, time, troubles, successions } = await scene(t);
    thread.emit('exit');
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      time.tick(RESTART_MS);
      assert.equal(threads.length, attempt + 1);
      threads[attempt]?.say({ kind: 'failed', text: 'EROFS' });
      threads[attempt]?.emit('exit');
      await turn();
    }
    time.tick(RESTART_MS);
    assert.equal(threads.length, 5);
    // Too late, from one that was given up.
    threads[3]?.ready(STREAM);
    threads[4]?.ready(SECOND);
    assert.deepEqual(successions, [`${STREAM} 0 -> ${SECOND}`]);
    assert.ok(troubles.some((text) => text.includes('EROFS')));
  });

  test('one that never began is not started again behind the back of who was refused', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const threads: ScriptedThread[] = [];
    const starting = startSpoolWriter({
      directory: SPOOL,
      identity: IDENTITY,
      durability: 'sync',
      onTrouble: () => assert.fail('whoever starts it is told'),
      onSucceeded: () => assert.fail(),
      startThread: (plan) => {
        threads.push(new ScriptedThread(plan));
        return threads.at(-1) ?? assert.fail();
      },
    });
    threads[0]?.say({ kind: 'failed', text: 'EACCES: no' });
    threads[0]?.emit('exit');
    await assert.rejects(starting, { code: 'spool_unavailable' });
    t.mock.timers.tick(10 * RESTART_MS);
    assert.equal(threads.length, 1);
  });
});

describe('stopping', () => {
  test('commits what waits, then seals, then ends the thread', async (t) => {
    const { writer, thread, append } = await scene(t);
    append('a');
    const stopping = writer.stop(1000);
    assert.deepEqual(thread.commits, [['a']]);
    assert.equal(thread.stops, 0);
    thread.commit();
    await stopping;
    assert.equal(thread.stops, 1);
    assert.ok(thread.terminated);
    assert.deepEqual(writer.counts(), { committed: 1, refused: 0, lost: 0 });
    await assert.rejects(writer.recorded('late'));
  });

  for (const how of ['refuses', 'hangs', 'is gone'] as const) {
    test(`what cannot be written because the disk ${how} is counted as lost, and nobody is left waiting`, async (t) => {
      const { writer, thread, append, ask, told, time } = await scene(t);
      if (how === 'is gone') thread.emit('exit');
      append('a');
      const stopping = writer.stop(1000);
      if (how === 'refuses') thread.refuse();
      if (how === 'hangs') time.tick(1000);
      await stopping;
      await ask('a');
      assert.deepEqual([...told], [['a', 'refused']]);
      assert.deepEqual(writer.counts(), { committed: 0, refused: 0, lost: 1 });
    });
  }
});
