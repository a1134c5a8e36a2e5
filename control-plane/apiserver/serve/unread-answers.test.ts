import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { answerStallMs, UnreadAnswers, unreadBytesMax, type AnswerStream } from './unread-answers.ts';

/** A stream whose client takes nothing, with the time-out that was asked of it. */
function deafStream(): AnswerStream & { timeout: { ms: number; run: (() => void) | undefined } } {
  const timeout: { ms: number; run: (() => void) | undefined } = { ms: 0, run: undefined };
  const stream = new Writable({ write: () => undefined });
  stream.on('error', () => undefined);
  const setTimeout = (ms: number, run?: () => void): void => void Object.assign(timeout, { ms, run });
  return Object.assign(stream, { setTimeout, timeout });
}

function answers() {
  const clock = createFakeClock();
  const why: string[] = [];
  return { clock, why, unread: new UnreadAnswers(clock, (text) => void why.push(text)) };
}

describe('UnreadAnswers', () => {
  test('cuts off what nobody reads, and gives its bytes back', () => {
    const { clock, why, unread } = answers();
    const stream = deafStream();
    unread.add(stream, 1000);
    stream.end(Buffer.alloc(1000));
    clock.advance(1000);
    expect(stream.timeout.ms).toBe(answerStallMs);
    stream.timeout.run?.();
    expect(stream.destroyed).toBe(true);
    expect(why).toEqual([expect.stringContaining('nothing read')]);
    expect(unread.size).toBe(0);
  });

  test('leaves a watch alone to which nothing happens, and one that has caught up', () => {
    const { clock, unread } = answers();
    const stream = deafStream();
    unread.add(stream, 0);
    clock.advance(60_000);
    expect(stream.timeout.ms).toBe(0);
    stream.write(Buffer.alloc(10));
    clock.advance(1000);
    expect(stream.timeout.ms).toBe(answerStallMs);
    Object.defineProperty(stream, 'writableLength', { value: 0 });
    clock.advance(1000);
    expect(stream.timeout.ms).toBe(0);
  });

  test('cuts off the oldest when all together are too much', () => {
    const { unread } = answers();
    const size = unreadBytesMax / 4;
    const streams = Array.from({ length: 6 }, deafStream);
    for (const stream of streams) {
      unread.add(stream, size);
      stream.end(Buffer.alloc(1));
    }
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([true, true, false, false, false, false]);
  });

  test('counts what streams hold that began without a size', () => {
    const { clock, unread } = answers();
    const streams = Array.from({ length: 3 }, deafStream);
    for (const stream of streams) {
      unread.add(stream, 0);
      Object.defineProperty(stream, 'writableLength', { value: unreadBytesMax / 2 });
    }
    clock.advance(1000);
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  });

  test('counts what is written piece by piece at once, and no longer when it was taken', () => {
    const { unread } = answers();
    const [taken, deaf, last] = [deafStream(), deafStream(), deafStream()];
    const ofTaken = unread.add(taken, 0);
    const ofDeaf = unread.add(deaf, 0);
    const ofLast = unread.add(last, 0);
    unread.waiting(ofTaken, unreadBytesMax / 2);
    unread.waiting(ofTaken, 0);
    unread.waiting(ofDeaf, unreadBytesMax / 2);
    unread.waiting(ofLast, unreadBytesMax / 2);
    expect([taken, deaf, last].map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
    unread.waiting(ofLast, unreadBytesMax / 2 + 1);
    expect([taken, deaf, last].map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
    unread.waiting(ofDeaf, unreadBytesMax);
    expect(last.destroyed).toBe(false);
  });

  test('looks no more when all were read', () => {
    const { clock, unread } = answers();
    const stream = deafStream();
    const answer = unread.add(stream, 1);
    unread.remove(answer);
    unread.remove(answer);
    clock.advance(10_000);
    expect(unread.size).toBe(0);
  });
});
