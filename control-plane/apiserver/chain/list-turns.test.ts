import { describe, expect, it } from 'vitest';
import { nextTurn } from '#base/time-slice.ts';
import type { ApiResponse, ByteSink } from '#control-plane/apiserver/serve/request.ts';
import { ListTurns } from './list-turns.ts';

const whole: ApiResponse = { status: 200, headers: {}, body: new Uint8Array() };
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(() => setImmediate(resolve)));

/** Lists that end when they are told to, and who of them is being made. */
function lists(turns: ListTurns): { readonly made: string[]; readonly ask: (user: string) => () => void } {
  const made: string[] = [];
  return {
    made,
    ask: (user) => {
      const { promise, resolve } = Promise.withResolvers<ApiResponse>();
      void turns.serve(user, () => {
        made.push(user);
        return promise;
      });
      return () => resolve(whole);
    },
  };
}

describe('ListTurns', () => {
  it('makes two at a time, and of users in turns', async () => {
    const { made, ask } = lists(new ListTurns());
    const ends = ['many', 'many', 'many', 'many', 'one'].map(ask);
    await settled();
    expect(made).toEqual(['many', 'many']);
    for (const end of ends) {
      end();
      await settled();
    }
    expect(made).toEqual(['many', 'many', 'many', 'one', 'many']);
  });

  it('gives the turn back when making fails', async () => {
    const turns = new ListTurns();
    const failing = (): Promise<ApiResponse> => Promise.reject(new Error('no'));
    for (let i = 0; i < 5; i++) await expect(turns.serve('a', failing)).rejects.toThrow('no');
    expect(await turns.serve('a', async () => whole)).toBe(whole);
  });

  it('holds no turn for who does not read, and waits for one to go on', async () => {
    const turns = new ListTurns();
    const { made, ask } = lists(turns);
    const reads = Promise.withResolvers<void>();
    const sink: ByteSink = { write: () => false, drained: () => reads.promise, pendingBytes: 0 };
    const written: number[] = [];
    const sent = [1, 2].map(async (number) => {
      const { body } = await turns.serve('slow', async () => ({
        ...whole,
        body: async (to: ByteSink) => {
          to.write(new Uint8Array());
          await to.drained();
          written.push(number);
        },
      }));
      if (!(body instanceof Uint8Array)) await body(sink);
    });
    await settled();
    const ends = ['a', 'b'].map(ask);
    await settled();
    expect(made).toEqual(['a', 'b']);
    reads.resolve();
    await settled();
    expect(written).toEqual([]);
    for (const end of ends) end();
    await Promise.all(sent);
    expect(written).toEqual([1, 2]);
  });

  it('holds no turn for an answer whose body nobody asks for', async () => {
    const turns = new ListTurns();
    const streamed = async (): Promise<ApiResponse> => ({ ...whole, body: async () => undefined });
    for (let i = 0; i < 5; i++) await turns.serve('a', streamed);
    expect(await turns.serve('a', async () => whole)).toBe(whole);
  });

  it('lets others run between the pieces of one list, whatever its client takes, and sooner beside something short', async () => {
    const turns = new ListTurns();
    const written: number[] = [];
    const piece = new Uint8Array(32_768);
    const sink: ByteSink = {
      write: (bytes) => written.push(bytes.byteLength) > 0,
      drained: async () => undefined,
      pendingBytes: 0,
    };
    const { body } = await turns.serve('reads', async () => ({
      ...whole,
      body: async (to: ByteSink) => {
        for (let i = 0; i < 16; i++) if (!to.write(piece)) await to.drained();
      },
    }));
    const sent = body instanceof Uint8Array ? undefined : body(sink);
    await Promise.resolve();
    expect(written).toHaveLength(4);
    {
      using _short = turns.short();

      await nextTurn();
      await nextTurn();
      expect(written.length).toBeLessThan(8);
    }
    await sent;
    expect(written).toHaveLength(16);
  });
});
