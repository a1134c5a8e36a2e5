import { describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import type { ContainerConfig, ExecSession, Runtime, SandboxConfig } from '#agent/runtime/runtime.ts';
import { RuntimeCounts } from './runtime-counts.ts';

const signal = new AbortController().signal;
// Only what the counts read of it.
const sandbox = { runtimeHandler: 'kata' } as SandboxConfig;
const container = {} as ContainerConfig;

/** A runtime of which each call takes 2 s. */
function counted(answers: Partial<Runtime>): { readonly counts: RuntimeCounts; readonly runtime: Runtime } {
  let nowMs = 0;
  const counts = new RuntimeCounts({ monotonic: () => nowMs, now: () => nowMs });
  const took = <T>(value: T): T => {
    nowMs += 2000;
    return value;
  };
  const target = {
    images: { pull: async () => took(undefined) },
    runSandbox: async () => took(undefined),
    startContainer: async () => took(undefined),
    observeAll: () => took([]),
    ...answers,
  } as unknown as Runtime;
  return { counts, runtime: counts.of(target) };
}

const refuse = (error: unknown) => async (): Promise<never> => {
  throw error;
};

describe('RuntimeCounts', () => {
  const of = (counts: RuntimeCounts, name: string): readonly unknown[] => {
    const count = counts.operations.get(name);
    return [count?.total, count?.errors, count?.seconds.sum];
  };

  it('counts a sandbox by operation and by who makes its containers', async () => {
    const { counts, runtime } = counted({});
    await runtime.runSandbox(sandbox, signal);
    expect(of(counts, 'run_podsandbox')).toEqual([1, 0, 2]);
    expect(counts.sandboxes.get('kata')?.seconds.count).toBe(1);
  });

  it('counts that a sandbox could not be made, and who asked hears why', async () => {
    const { counts, runtime } = counted({ runSandbox: refuse(new PodwrightError('E_INVALID', 'no')) });
    await expect(runtime.runSandbox(sandbox, signal)).rejects.toThrow('no');
    expect(counts.operations.get('run_podsandbox')?.errors).toBe(1);
    expect(counts.sandboxes.get('kata')?.errors).toBe(1);
  });

  it.each([
    { error: undefined, name: 'starts', create: [1, 0], start: [1, 0] },
    { error: new PodwrightError('E_LAUNCH', 'no'), name: 'cannot start', create: [1, 0], start: [1, 1] },
    {
      error: new PodwrightError('E_INVALID', 'no'),
      name: 'cannot be made',
      create: [1, 1],
      start: [undefined, undefined],
    },
  ])('counts a container that $name', async ({ error, create, start }) => {
    const { counts, runtime } = counted(error === undefined ? {} : { startContainer: refuse(error) });
    await runtime.startContainer('u', container, signal).catch(() => undefined);
    expect(of(counts, 'create_container').slice(0, 2)).toEqual(create);
    expect(of(counts, 'start_container').slice(0, 2)).toEqual(start);
  });

  it('counts a command whose output is collected when it has ended', async () => {
    const end = Promise.withResolvers<number>();
    const session = { exitCode: end.promise } as ExecSession;
    const { counts, runtime } = counted({ exec: async () => session });
    const request = { args: ['true'], stdin: false, tty: false };
    await runtime.exec('u', 'c', { ...request, isCollected: true }, signal);
    await runtime.exec('u', 'c', request, signal);
    expect(counts.operations.get('exec')?.total).toBe(1);
    expect(counts.operations.get('exec_sync')?.total).toBe(0);
    end.resolve(0);
    await end.promise;
    expect(counts.operations.get('exec_sync')?.total).toBe(1);
  });

  it('counts how long the states of all pods take to read, and the time between two readings', () => {
    const { counts, runtime } = counted({});
    runtime.observeAll();
    runtime.observeAll();
    expect([counts.relist.count, counts.relist.sum]).toEqual([2, 4]);
    expect([counts.relistInterval.count, counts.relistInterval.sum]).toEqual([1, 2]);
    expect(counts.relistedAtMs).toBe(4000);
  });

  it('counts pulls, and has the buckets of a kubelet', async () => {
    const { counts, runtime } = counted({});
    await runtime.images.pull('i', {}, signal);
    expect(of(counts, 'pull_image')).toEqual([1, 0, 2]);
    const buckets = counts.operations.get('pull_image')?.seconds.buckets ?? [];
    expect([buckets.length, buckets[0], buckets[1]]).toEqual([14, 0.005, 0.0125]);
  });
});
