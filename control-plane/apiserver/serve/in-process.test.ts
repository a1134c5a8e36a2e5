import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { nextTurn } from '#base/time-slice.ts';
import { createInProcessTransport } from './in-process.ts';
import { RequestTurns } from './request-turns.ts';

const pieces = 20;

function work(ms: number): void {
  for (const startMs = performance.now(); performance.now() - startMs < ms;);
}

describe('createInProcessTransport()', () => {
  it('has of all streams together only what a turn has time for read in it', async () => {
    const transport = createInProcessTransport(
      async () => ({
        status: 200,
        headers: {},
        body: async (sink) => {
          for (let at = 0; at < pieces; at++) sink.write(Buffer.from([at]));
        },
      }),
      { user: { name: 'tester', groups: [] }, turns: new RequestTurns() },
    );
    const read: number[] = [];
    const reading = Array.from({ length: 3 }, async () => {
      const { body } = await transport.request({ method: 'GET', path: '/', headers: {}, stream: true });
      if (body instanceof Uint8Array) throw new TypeError('not a stream');
      for await (const piece of body) {
        work(3);
        read.push(...piece);
      }
    });
    let most = 0;
    for (let turn = 0; read.length < 3 * pieces && turn < 1000; turn++) {
      const before = read.length;
      await nextTurn();
      most = Math.max(most, read.length - before);
    }
    await Promise.all(reading);
    expect(most).toBeLessThan(10);
    expect(read.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: pieces }, (_, at) => [at, at, at]).flat(),
    );
    await transport[Symbol.asyncDispose]();
  });
});
