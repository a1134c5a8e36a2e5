import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { UnixClient } from '#proto/unix-client.ts';
import type { Services } from '#proto/cri/api.ts';
import { createRemovals, isLater } from './removals.ts';

const said = (details: string, status = 'UNKNOWN'): PodwrightError =>
  new PodwrightError('E_INTERNAL', `call: ${details}`, { detail: { status, details } });
const busy = 'failed to set removing state for container "a": container is already in removing state';

describe('isLater()', () => {
  it.each([
    [busy, true],
    [
      'failed to set removing state for container "a": container is in starting state, can\'t be removed',
      true,
    ],
    ['failed to remove snapshot', false],
  ])('%s', (details, want) => {
    expect(isLater(said(details))).toBe(want);
  });
});

describe('createRemovals()', () => {
  const method = (name: string) => name as never;
  const service = {
    RemoveContainer: method('container'),
    RemovePodSandbox: method('sandbox'),
  } as unknown as Services['runtime.v1.RuntimeService'];
  const make = (answer: (count: number) => Promise<unknown>) => {
    const asked: string[] = [];
    let [now, most] = [0, 0];
    const call = async (name: unknown): Promise<unknown> => {
      asked.push(String(name));
      most = Math.max(most, (now += 1));
      try {
        return await answer(asked.length);
      } finally {
        now -= 1;
      }
    };
    const client = { call } as unknown as UnixClient;
    const clock = createFakeClock();
    return { asked, clock, most: () => most, removals: createRemovals({ client, service, clock }) };
  };
  const one = { criId: 'a', sandboxId: 's' };
  const { signal } = new AbortController();

  it('asks once for a container that two remove, and one after another of a sandbox', async () => {
    const { asked, most, removals } = make(() => new Promise((resolve) => setImmediate(resolve)));
    await Promise.all([removals.container(one), removals.container(one), removals.sandbox('s', signal)]);
    expect(asked).toEqual(['container', 'sandbox']);
    expect(most()).toBe(1);
  });

  it('asks later where the runtime is at it, and takes what is gone for removed', async () => {
    const { asked, clock, removals } = make(async (count) => {
      throw count === 1 ? said(busy) : said('not found', 'NOT_FOUND');
    });
    const removal = removals.container(one);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(500);
    await removal;
    expect(asked).toHaveLength(2);
  });

  it('tells what else is said', async () => {
    const { removals } = make(async () => {
      throw said('failed to remove snapshot');
    });
    await expect(removals.container(one)).rejects.toThrow('desc = failed to remove snapshot');
  });
});
