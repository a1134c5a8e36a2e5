import { getEventListeners } from 'node:events';
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

  it('ends a request with its signal or the transport, and has nothing of the signal once it is answered', async () => {
    const ends: AbortSignal[] = [];
    const transport = createInProcessTransport(
      async ({ path, signal }) => {
        ends.push(signal);
        const body = async (): Promise<void> => new Promise(() => undefined);
        return { status: 200, headers: {}, body: path === '/whole' ? Buffer.from('') : body };
      },
      { user: { name: 'tester', groups: [] }, turns: new RequestTurns() },
    );
    const own = new AbortController();
    const ask = (path: string, signal = own.signal) =>
      transport.request({ method: 'GET', path, headers: {}, stream: true, signal });
    await ask('/whole');
    expect(getEventListeners(own.signal, 'abort')).toEqual([]);
    const read = async ({ body }: Awaited<ReturnType<typeof ask>>): Promise<void> => {
      for await (const piece of body) expect(piece).toBeUndefined();
    };
    const other = new AbortController();
    const reading = [read(await ask('/stream')), read(await ask('/stream', other.signal))];
    own.abort(new Error('enough'));
    await expect(reading[0]).rejects.toThrow('enough');
    await transport[Symbol.asyncDispose]();
    await expect(reading[1]).rejects.toThrow('transport closed');
    expect(ends.map(({ aborted }) => aborted)).toEqual([false, true, true]);
    expect(getEventListeners(other.signal, 'abort')).toEqual([]);
  });
});
