import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { LayerTurns, patienceMs, type LayerWork } from './layer-turns.ts';

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
};

function setUp() {
  const clock = createFakeClock();
  const turns = new LayerTurns(clock);
  const present = new Set<string>();
  const log: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const signal = new AbortController().signal;
  const ask = (name: string, source: string, over: AbortSignal = signal): Promise<string> => {
    const end = Promise.withResolvers<void>();
    ends.set(name, end);
    const work: LayerWork = {
      diffId: 'd',
      source,
      isPresent: async () => present.has('d'),
      bring: async (each) => {
        log.push(`${name} begins`);
        each.addEventListener('abort', () => end.reject(each.reason));
        await end.promise;
        present.add('d');
      },
    };
    return turns.ensure(work, over).then(
      () => `${name} has it`,
      (error: unknown) => `${name}: ${String(error)}`,
    );
  };
  return { clock, ask, log, end: (name: string) => ends.get(name) };
}

describe('LayerTurns', () => {
  it('fetches a layer once for all who want it of one registry, however long that takes', async () => {
    const { clock, ask, log, end } = setUp();
    const both = [ask('a', 'one'), ask('b', 'one')];
    await settled();
    clock.advance(100 * patienceMs);
    await settled();
    expect(log).toEqual(['a begins']);
    end('a')?.resolve();
    expect(await Promise.all(both)).toEqual(['a has it', 'b has it']);
    expect(log).toEqual(['a begins']);
  });

  it('is fetched from another registry beside a slow one, which is then left alone', async () => {
    const { clock, ask, log, end } = setUp();
    const both = [ask('slow', 'one'), ask('fast', 'two')];
    await settled();
    expect(log).toEqual(['slow begins']);
    clock.advance(patienceMs);
    await settled();
    expect(log).toEqual(['slow begins', 'fast begins']);
    end('fast')?.resolve();
    expect(await Promise.all(both)).toEqual(['slow has it', 'fast has it']);
  });

  it('is tried by who comes second when the first fails', async () => {
    const { ask, log, end } = setUp();
    const both = [ask('a', 'one'), ask('b', 'two')];
    await settled();
    end('a')?.reject(new Error('gone'));
    await settled();
    expect(log).toEqual(['a begins', 'b begins']);
    end('b')?.resolve();
    expect(await Promise.all(both)).toEqual(['a: Error: gone', 'b has it']);
  });

  it('lets go of who waits no more', async () => {
    const { ask, log, end } = setUp();
    const abort = new AbortController();
    const both = [ask('a', 'one'), ask('b', 'one', abort.signal)];
    await settled();
    abort.abort(new Error('pod deleted'));
    expect(await both[1]).toBe('b: Error: pod deleted');
    end('a')?.resolve();
    expect(await both[0]).toBe('a has it');
    expect(log).toEqual(['a begins']);
  });
});
