import { expect, it } from 'vitest';
import type { ContainerStatus, Pod, PodStatus } from '#api/generated/objects.ts';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { apiError } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { createStatusWriter, isBookkeeping } from './status-writer.ts';

const container: ContainerStatus = {
  name: 'main',
  image: 'i',
  imageID: 'sha256:1',
  containerID: 'podwright://a',
  ready: true,
  started: true,
  restartCount: 0,
  state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
};
const base: PodStatus = {
  phase: 'Running',
  podIP: '10.244.0.5',
  podIPs: [{ ip: '10.244.0.5' }],
  conditions: [{ type: 'Ready', status: 'True', observedGeneration: 1 }],
  containerStatuses: [container],
  observedGeneration: 1,
};
const pod: Pod = { metadata: { name: 'p' }, status: base };

it.each<{ name: string; wanted: PodStatus; metadata?: Pod['metadata']; want: boolean }>([
  {
    name: 'a generation that was seen',
    wanted: {
      ...base,
      observedGeneration: 2,
      conditions: [{ type: 'Ready', status: 'True', observedGeneration: 2 }],
    },
    want: true,
  },
  {
    name: 'another run of a container, ready as before',
    wanted: {
      ...base,
      containerStatuses: [
        {
          ...container,
          containerID: 'podwright://b',
          restartCount: 1,
          state: { running: { startedAt: '2026-01-01T00:00:09Z' } },
          lastState: { terminated: { exitCode: 1 } },
        },
      ],
    },
    want: true,
  },
  { name: 'a phase', wanted: { ...base, phase: 'Succeeded' }, want: false },
  {
    name: 'a condition',
    wanted: { ...base, conditions: [{ type: 'Ready', status: 'False' }] },
    want: false,
  },
  { name: 'an address', wanted: { ...base, podIPs: [{ ip: '10.244.0.6' }] }, want: false },
  {
    name: 'a container that is not ready',
    wanted: { ...base, containerStatuses: [{ ...container, ready: false }] },
    want: false,
  },
  {
    name: 'a container that waits',
    wanted: {
      ...base,
      containerStatuses: [{ ...container, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
    },
    want: false,
  },
  {
    name: 'anything of a pod that ends',
    wanted: { ...base, observedGeneration: 2 },
    metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' },
    want: false,
  },
])('isBookkeeping() of $name is $want', ({ wanted, metadata = {}, want }) => {
  expect(isBookkeeping({ ...pod, metadata }, wanted)).toBe(want);
});

it.each([
  { refused: apiError('patch', { reason: 'Conflict' }, 409), what: 'others overtook', writes: 2 },
  { refused: apiError('patch', { reason: 'NotFound' }, 404), what: 'whose pod is gone', writes: 1 },
])('a write $what is made $writes times', async ({ refused, writes }) => {
  const clock = createFakeClock(0);
  const known: Pod = { metadata: { name: 'p', namespace: 'default', uid: 'u' }, status: {} };
  let made = 0;
  const written: Pod[] = [];
  const patch = async (): Promise<Pod> => {
    if (++made === 1) throw refused;
    return { ...known, status: base };
  };
  await using writer = createStatusWriter({
    client: { patch } as unknown as ApiClient,
    clock,
    podOf: () => known,
    onWritten: (_uid, pod_) => void written.push(pod_),
    onError: () => undefined,
  });
  writer.set('u', base);
  await expect.poll(() => made).toBe(1);
  await expect.poll(() => (clock.advance(1000), made)).toBe(writes);
  await expect.poll(() => writer.isCurrent('u')).toBe(true);
  expect(written).toHaveLength(writes - 1);
});

it('a write whose answer is lost is told of when the watch has shown it', async () => {
  const clock = createFakeClock(0);
  let known: Pod = { metadata: { name: 'p', namespace: 'default', uid: 'u' }, status: {} };
  const written: Pod[] = [];
  let made = 0;
  const patch = async (): Promise<Pod> => {
    made++;
    known = { ...known, status: base };
    throw new PodwrightError('E_CONNECTION', 'connection reset');
  };
  await using writer = createStatusWriter({
    client: { patch } as unknown as ApiClient,
    clock,
    podOf: () => known,
    onWritten: (_uid, pod_) => void written.push(pod_),
    onError: () => undefined,
  });
  writer.set('u', base);
  await expect.poll(() => made).toBe(1);
  expect(writer.isCurrent('u')).toBe(false);
  await expect.poll(() => (clock.advance(1000), writer.isCurrent('u'))).toBe(true);
  expect([made, written]).toEqual([1, [known]]);
});
