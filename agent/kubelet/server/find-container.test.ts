import { describe, expect, it } from 'vitest';

import type { ContainerStatus } from '#api/generated/objects.ts';
import type { ContainerObservation } from '#agent/runtime/runtime.ts';
import { findRunning, previousRun, type ContainerSearch } from './find-container.ts';

const run = (attempt: number, state: 'running' | 'exited'): ContainerObservation => ({
  id: `r${attempt}`,
  name: 'c',
  attempt,
  image: 'i',
  imageId: 'i',
  logPath: undefined,
  state:
    state === 'running'
      ? { state, startedAtMs: 0, pid: 1 }
      : {
          state,
          startedAtMs: 0,
          finishedAtMs: 1,
          exitCode: 1,
          signal: undefined,
          reason: 'Error',
          message: '',
        },
});

const last = (attempt: number): Pick<ContainerStatus, 'lastState'> => ({
  lastState: { terminated: { exitCode: 1, containerID: `podwright://r${attempt}` } },
});
const waiting = { state: { waiting: { reason: 'CrashLoopBackOff' } } };

describe('findRunning()', () => {
  const search = (runs: readonly ContainerObservation[]): ContainerSearch => ({
    runtime: { observe: () => ({ containers: runs }) } as unknown as ContainerSearch['runtime'],
    podByName: (_namespace, name) => (name === 'p' ? { metadata: { uid: 'u' } } : undefined),
  });
  const name = { namespace: 'n', pod: 'p', uid: undefined, container: 'c' };

  it('gives the run that goes on', () => {
    const runs = [run(0, 'exited'), run(1, 'running')];
    expect(findRunning(search(runs), name, 'exec')).toEqual({ podUid: 'u', containerId: 'r1' });
  });

  it.each([
    ['exec', 'container not found ("c")'],
    ['attach', 'container c not found in pod p_n'],
  ] as const)('tells %s of one that does not run in the words of the kubelet', (purpose, message) => {
    for (const runs of [[], [run(0, 'exited')]])
      expect(findRunning(search(runs), name, purpose)).toEqual({ status: 500, message });
    expect(findRunning(search([]), { ...name, pod: 'q' }, purpose)).toMatchObject({ status: 404 });
  });
});

describe('previousRun()', () => {
  it.each([
    { name: 'the first run goes on', runs: [run(0, 'running')], status: {}, want: undefined },
    { name: 'the second goes on', runs: [run(0, 'exited'), run(1, 'running')], status: last(0), want: 'r0' },
    {
      name: 'the first ended and another follows',
      runs: [run(0, 'exited')],
      status: { ...waiting, ...last(0) },
      want: 'r0',
    },
    {
      name: 'the second ended and another follows',
      runs: [run(0, 'exited'), run(1, 'exited')],
      status: { ...waiting, ...last(1) },
      want: 'r1',
    },
    {
      name: 'another has begun, which the status does not show yet',
      runs: [run(1, 'exited'), run(2, 'running')],
      status: { ...waiting, ...last(1) },
      want: 'r1',
    },
    {
      name: 'the first ended for good',
      runs: [run(0, 'exited')],
      status: { state: { terminated: { exitCode: 1 } } },
      want: undefined,
    },
    { name: 'nothing ever ran', runs: [], status: waiting, want: undefined },
  ])('is right when $name', ({ runs, status, want }) => {
    expect(
      previousRun(runs, { name: 'c', image: '', imageID: '', ready: false, restartCount: 0, ...status })?.id,
    ).toBe(want);
  });
});
