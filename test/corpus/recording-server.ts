/**
 * A stdio server that keeps what it gets and answers each request with an empty result; run with `node`, never
 * imported by a test. RECORDING_FILE gets every byte of stdin as it came, before the answer to it goes out.
 */
import { appendFileSync } from 'node:fs';
import { createLineSplitter } from '../../src/proxy/stdio/line-splitter.ts';
import { emptyAnswer } from './upstream.ts';

const file = process.env['RECORDING_FILE'] ?? '';
const lines = createLineSplitter(64 * 1024 * 1024);

process.stdin.on('data', (chunk: Buffer) => {
  appendFileSync(file, chunk);
  for (const line of lines.push(chunk)) {
    const answer = line.kind === 'line' ? emptyAnswer(line.content) : undefined;
    if (answer !== undefined) process.stdout.write(`${answer}\n`);
  }
});
