import { describe, expect, it } from 'vitest';
import { nextTurn } from '#base/time-slice.ts';
import type { Write } from './write-batch.ts';
import { toldMax, WritePump } from './write-pump.ts';

function writeOf(revision: number, settle: Write['settle'] = () => {}): Write {
  const none = { rows: [], payloads: [], leases: [], leasesGone: [], rowsGone: [], compactRevision: 0 };
  return { revision, ...none, settle };
}

function work(ms: number): void {
  for (const startMs = performance.now(); performance.now() - startMs < ms;);
}

interface Pumped {
  readonly pump: WritePump;
  readonly posted: number[];
  readonly told: number[][];
}

function pumpOf(onTell: (writes: readonly Write[]) => void = () => {}): Pumped {
  const [posted, told]: [number[], number[][]] = [[], []];
  const pump = new WritePump({
    post: (batch) => posted.push(batch.length),
    tell: (writes) => {
      told.push(writes.map(({ revision }) => revision));
      onTell(writes);
    },
  });
  return { pump, posted, told };
}

const count = 500;

describe('WritePump', () => {
  it('sends what came in one turn together, and what comes meanwhile next', async () => {
    const { pump, posted } = pumpOf();
    for (let at = 1; at <= 3; at++) pump.enqueue(writeOf(at));
    await nextTurn();
    for (let at = 4; at <= 8; at++) pump.enqueue(writeOf(at));
    await nextTurn();
    expect(posted).toEqual([3]);
    pump.written();
    expect(posted).toEqual([3, 5]);
  });

  it('tells what is durable in order, some in each turn where writers do much at once', async () => {
    const { pump, told } = pumpOf((writes) => writes.forEach((write) => write.settle(undefined)));
    let done = 0;
    for (let at = 1; at <= count; at++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const goOn = async (): Promise<void> => {
        await promise;
        await undefined; // It is not the first that goes on who does the work.
        work(1);
        done++;
      };
      void goOn();
      pump.enqueue(writeOf(at, () => resolve()));
    }
    await nextTurn();
    pump.written();
    await nextTurn();
    // A chunk of its greatest length, and what the time of a turn has room for.
    expect(done).toBeLessThanOrEqual(2 * toldMax);
    expect(pump.isIdle).toBe(false);
    for (let turn = 0; !pump.isIdle && turn < 10 * count; turn++) await nextTurn();
    expect(told.flat()).toEqual(Array.from({ length: count }, (_, at) => at + 1));
    expect(Math.min(...told.map((writes) => writes.length))).toBeLessThan(16);
  });

  it('tells what is durable before it gives up what is not', async () => {
    const { pump, told } = pumpOf();
    for (let at = 1; at <= 2 * toldMax; at++) pump.enqueue(writeOf(at));
    await nextTurn();
    pump.enqueue(writeOf(1000));
    pump.written();
    pump.enqueue(writeOf(1001));
    expect(pump.takeAll().map(({ revision }) => revision)).toEqual([1000, 1001]);
    expect(told.flat()).toHaveLength(2 * toldMax);
    expect(pump.isIdle).toBe(true);
    await nextTurn();
    expect(told.flat()).toHaveLength(2 * toldMax);
  });
});
