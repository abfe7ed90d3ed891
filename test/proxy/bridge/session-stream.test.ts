/** What a server says unasked, on the streams that its client opens, loses and resumes: each message once. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  answerTo,
  bridgeScene,
  call,
  CHANGED,
  log,
  progress,
  reader,
  sampling,
} from '../../support/bridge-scene.ts';

const SSE = { accept: 'text/event-stream' };

describe('what a server says unasked', () => {
  test('goes out on the stream that the client has opened for it', async (t) => {
    const { begin, open, servers } = bridgeScene(t);
    const session = await begin();
    const read = reader(await open({ session }));
    assert.equal(await read('\n\n'), 'id: 0-0\ndata: \n\n');
    servers[0]?.say(CHANGED, sampling('s'));
    assert.match(await read('\n\n'), /^id: 0-1\ndata: .*list_changed/);
    assert.match(await read('\n\n'), /^id: 0-2\ndata: .*sampling/);
  });

  test('and asks while one request is open belongs to that, though a stream stands open', async (t) => {
    const { begin, open, ask, servers } = bridgeScene(t);
    const session = await begin();
    await open({ session });
    const answer = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.say(sampling('s'), log('at work'));
    await ask({ session, body: { id: 's', result: {} } });
    assert.match((await servers[0]?.line('"id":"s"')) ?? '', /"result"/);
    servers[0]?.say(answerTo(1));
    assert.match((await answer).body, /sampling[^]*at work[^]*"result"/);
  });

  test('and nobody knows for which of two requests goes out on the stream, or on the younger', async (t) => {
    const { begin, open, send, servers } = bridgeScene(t);
    const session = await begin();
    const events = { session, headers: SSE };
    const elder = send({ ...events, body: call(1) });
    const opening = open({ ...events, body: call(2) });
    await servers[0]?.line('"id":1');
    await servers[0]?.line('"id":2');
    servers[0]?.say(sampling('a'));
    const younger = reader(await opening);
    assert.match(await younger('\n\n'), /"id":"a"/);
    const stream = reader(await open({ session }));
    servers[0]?.say(sampling('b'));
    await stream('"id":"b"');
    servers[0]?.say(answerTo(1));
    assert.ok((await elder).ok);
  });

  test('waits where there is no stream, and goes out on the first that opens', async (t) => {
    const { begin, ask, open, servers } = bridgeScene(t);
    const session = await begin();
    servers[0]?.say(CHANGED, sampling('s'));
    await ask({ session, body: { method: 'notifications/initialized' } });
    const read = reader(await open({ session }));
    assert.match(await read('"s"'), /list_changed/);
  });

  test('waits for the next request too, of a client that opens no stream', async (t) => {
    const { begin, ask, servers, clock } = bridgeScene(t);
    const session = await begin();
    servers[0]?.say(CHANGED);
    await ask({ session, body: { method: 'notifications/initialized' } });
    clock.turn(1);
    const answer = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.say(answerTo(1));
    assert.match((await answer).body, /list_changed[^]*"result"/);
  });

  test('and too much to wait is dropped, oldest first: told, and what it asked is refused', async (t) => {
    const { begin, open, servers, notes } = bridgeScene(t, { limits: { waitingMax: 2 } });
    const session = await begin();
    servers[0]?.say(sampling('a'), CHANGED, sampling('b'));
    assert.match((await servers[0]?.line('"id":"a"')) ?? '', /"error"/);
    assert.match(notes.lines.join(), /messages were dropped, its client opens no stream/);
    const read = reader(await open({ session }));
    assert.match(await read('"b"'), /list_changed/);
  });

  test('and more bytes than may wait are dropped too', async (t) => {
    const { begin, servers } = bridgeScene(t, { limits: { waitingBytesMax: 50 } });
    await begin();
    servers[0]?.say(sampling('a'));
    assert.match((await servers[0]?.line('"id":"a"')) ?? '', /"error"/);
  });

  test('waits up to the limit again after what waited has gone out', async (t) => {
    const { begin, ask, open, servers, notes } = bridgeScene(t, { limits: { waitingBytesMax: 150 } });
    const session = await begin();
    const gone = new AbortController();
    servers[0]?.say(sampling('a'));
    await ask({ session, body: { method: 'notifications/initialized' } });
    await reader(await open({ session, signal: gone.signal }))('"a"');
    gone.abort('client_closed');
    servers[0]?.say(sampling('b'));
    await ask({ session, body: { method: 'notifications/initialized' } });
    assert.doesNotMatch(notes.lines.join(), /dropped/);
  });

  test('has no line end within an event, whatever stands between its tokens', async (t) => {
    const { begin, open, servers } = bridgeScene(t);
    const read = reader(await open({ session: await begin() }));
    await read('\n\n');
    servers[0]?.say('{"jsonrpc":"2.0",\r"method":"notifications/tools/list_changed"}\r');
    assert.equal(
      await read('\n\n'),
      'id: 0-1\ndata: {"jsonrpc":"2.0", "method":"notifications/tools/list_changed"} \n\n',
    );
  });

  test('and cannot be read goes to the door, which judges it', async (t) => {
    const { begin, open, servers } = bridgeScene(t);
    const read = reader(await open({ session: await begin() }));
    servers[0]?.say('{"jsonrpc":"2.0","id":1,"method":"roots/list","Method":"x"}');
    assert.match(await read('"x"'), /roots/);
  });

  test('and is no message is shown and goes nowhere', async (t) => {
    const { begin, ask, servers, notes } = bridgeScene(t);
    const session = await begin();
    servers[0]?.say('Listening on stdio!', answerTo('unknown'));
    servers[0]?.stderr.write('a word\non stderr');
    servers[0]?.stderr.write('\n');
    const answer = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.say(answerTo(1));
    assert.doesNotMatch((await answer).body, /Listening/);
    const said = notes.lines.join('\n');
    assert.match(said, /what is no message: Listening on stdio!/);
    assert.match(said, /^files: a word\nfiles: on stderr$/m);
  });

  test('on stderr is cut where its line has no end', async (t) => {
    const { begin, ask, servers, notes } = bridgeScene(t, { limits: { stderrLineBytesMax: 10 } });
    const session = await begin();
    servers[0]?.stderr.write(`${'x'.repeat(11)}\nshort\n`);
    await ask({ session, body: { method: 'notifications/initialized' } });
    assert.match(notes.lines.join('\n'), /^files: \(a line of more than 10 bytes\)\nfiles: short$/m);
  });

  test('on stderr without end is shown up to a limit each second, and the rest is counted', async (t) => {
    const { begin, ask, servers, notes, clock } = bridgeScene(t, { limits: { stderrSecondBytesMax: 12 } });
    const session = await begin();
    const notified = { session, body: { method: 'notifications/initialized' } };
    servers[0]?.stderr.write('12345\n12345\n1\n2\n');
    await ask(notified);
    assert.deepEqual(notes.lines, ['files: 12345', 'files: 12345']);
    clock.turn(1_000);
    servers[0]?.stderr.write('again\n');
    await ask(notified);
    assert.deepEqual(notes.lines.slice(2), ['files: (2 more lines in this second)', 'files: again']);
  });

  test('faster than its client reads makes it wait, and nothing is lost', async (t) => {
    const { begin, open, servers } = bridgeScene(t);
    const session = await begin();
    const stream = await open({ session });
    const long = 'x'.repeat(8000);
    for (let at = 0; at < 100; at += 1) servers[0]?.say(log(`${at} ${long}`));
    await new Promise(setImmediate);
    assert.ok(stream.readableLength < 200_000, `${stream.readableLength} bytes wait`);
    const read = reader(stream);
    for (let at = 0; at < 100; at += 1) await read(`"${at} x`);
  });

  test('faster than its client reads holds nobody up once that client has gone', async (t) => {
    const { begin, open, ask, servers } = bridgeScene(t);
    const session = await begin();
    const gone = new AbortController();
    await open({ session, signal: gone.signal });
    for (let at = 0; at < 100; at += 1) servers[0]?.say(log('x'.repeat(8000)));
    const answer = ask({ session, body: call(1) });
    await servers[0]?.line('"id":1');
    servers[0]?.say(answerTo(1));
    gone.abort('client_closed');
    assert.match((await answer).body, /"result"/);
  });
});

describe('the stream of a session', () => {
  test('is there once: a second is refused, until the first is gone', async (t) => {
    const { begin, open, ask } = bridgeScene(t);
    const session = await begin();
    const gone = new AbortController();
    const first = await open({ session, signal: gone.signal });
    assert.equal((await ask({ session })).status, 409);
    gone.abort('client_closed');
    assert.ok(first.destroyed);
    await open({ session });
  });

  test('is resumed after the last event that came through, and nothing is lost or said twice', async (t) => {
    const { begin, open, ask, servers } = bridgeScene(t);
    const session = await begin();
    const gone = new AbortController();
    const read = reader(await open({ session, signal: gone.signal }));
    servers[0]?.say(log('one'), log('two'));
    await read('two');
    gone.abort('client_closed');
    servers[0]?.say(log('three'));
    await ask({ session, body: { method: 'notifications/initialized' } });
    const again = reader(await open({ session, headers: { 'last-event-id': '0-1' } }));
    const events = await again('three');
    assert.match(events, /^id: 0-2\ndata: .*two[^]*id: 0-3\ndata: .*three$/);
    assert.doesNotMatch(events, /one/);
    servers[0]?.say(log('four'));
    await again('four');
  });

  test('that is resumed takes the place of the connection that its client has lost', async (t) => {
    const { begin, open, servers } = bridgeScene(t);
    const session = await begin();
    const first = await open({ session });
    const again = reader(await open({ session, headers: { 'last-event-id': '0-0' } }));
    first.resume();
    await new Promise((resolve) => first.on('end', resolve));
    servers[0]?.say(CHANGED);
    await again('list_changed');
  });

  test('of a request is resumed too, and brings its answer', async (t) => {
    const { begin, open, ask, servers } = bridgeScene(t);
    const session = await begin();
    const gone = new AbortController();
    const opening = open({ session, body: call(1, { progressToken: 1 }), signal: gone.signal });
    await servers[0]?.line('"id":1');
    servers[0]?.say(progress(1, 1));
    await reader(await opening)('"progress":1');
    gone.abort('client_closed');
    servers[0]?.say(progress(1, 2));
    await ask({ session, body: { method: 'notifications/initialized' } });
    const resumed = ask({ session, headers: { 'last-event-id': '2-1' } });
    servers[0]?.say(answerTo(1));
    assert.match((await resumed).body, /^id: 2-2\ndata: .*"progress":2[^]*id: 2-3\ndata: .*"result"/);
    const late = await ask({ session, headers: { 'last-event-id': '2-2' } });
    assert.match(late.body, /^id: 2-3\ndata: .*"result".*\n\n$/);
  });

  test('of a request whose answer came while nobody listened is replayed to its end', async (t) => {
    const { begin, open, ask, servers } = bridgeScene(t);
    const session = await begin();
    const gone = new AbortController();
    const opening = open({ session, body: call(1, { progressToken: 1 }), signal: gone.signal });
    await servers[0]?.line('"id":1');
    servers[0]?.say(progress(1));
    await reader(await opening)('"progress"');
    gone.abort('client_closed');
    servers[0]?.say(answerTo(1));
    await ask({ session, body: { method: 'notifications/initialized' } });
    assert.match((await ask({ session, headers: { 'last-event-id': '2-1' } })).body, /^id: 2-2\n.*"result"/);
  });

  test('whose events are not kept any more is refused: told where some were lost', async (t) => {
    const { begin, open, ask, servers, notes } = bridgeScene(t, { limits: { eventsMax: 1 } });
    const session = await begin();
    const gone = new AbortController();
    const opening = open({ session, body: call(1, { progressToken: 1 }), signal: gone.signal });
    await servers[0]?.line('"id":1');
    servers[0]?.say(progress(1));
    await reader(await opening)('"progress"');
    gone.abort('client_closed');
    servers[0]?.say(answerTo(1));
    await ask({ session, body: { method: 'notifications/initialized' } });
    assert.doesNotMatch(notes.lines.join(), /an event is lost/);
    const other = ask({ session, body: call(2), headers: SSE });
    await servers[0]?.line('"id":2');
    servers[0]?.say(answerTo(2));
    await other;
    assert.match(notes.lines.join(), /an event is lost/);
    for (const id of ['2-1', '99-1', 'x', '2', '']) {
      assert.equal((await ask({ session, headers: { 'last-event-id': id } })).status, 400, id);
    }
  });

  test('that was resumed has lost nothing, when its events are kept no longer', async (t) => {
    const { begin, open, ask, servers, notes } = bridgeScene(t, { limits: { eventsMax: 2 } });
    const session = await begin();
    const gone = new AbortController();
    const opening = open({ session, body: call(1, { progressToken: 1 }), signal: gone.signal });
    await servers[0]?.line('"id":1');
    servers[0]?.say(progress(1, 1));
    await reader(await opening)('"progress":1');
    gone.abort('client_closed');
    servers[0]?.say(progress(1, 2));
    await ask({ session, body: { method: 'notifications/initialized' } });
    const read = reader(await open({ session, headers: { 'last-event-id': '2-1' } }));
    await read('"progress":2');
    servers[0]?.say(progress(1, 3), progress(1, 4), progress(1, 5));
    await read('"progress":5');
    assert.doesNotMatch(notes.lines.join(), /an event is lost/);
  });

  test('keeps events up to so many bytes', async (t) => {
    const { begin, open, ask, servers } = bridgeScene(t, { limits: { eventBytesMax: 100 } });
    const session = await begin();
    const gone = new AbortController();
    const read = reader(await open({ session, signal: gone.signal }));
    servers[0]?.say(log('a'.repeat(60)), log('b'));
    await read('"b"');
    gone.abort('client_closed');
    await ask({ session, body: { method: 'notifications/initialized' } });
    const again = reader(await open({ session, headers: { 'last-event-id': '0-0' } }));
    assert.doesNotMatch(await again('"b"'), /aaa/);
  });
});
