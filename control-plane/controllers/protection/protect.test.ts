import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { podGroups, pods } from '#api/schema/kind-ref.ts';
import { podGroupFinalizer } from '#api/pod/scheduling-group.ts';
import type { PodGroup } from '#api/generated/objects.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { runPodGroupProtection } from './pod-groups.ts';
import { protect } from './protect.ts';

const where = { namespace: 'ns', name: 'g' };
const group: PodGroup = { metadata: where, spec: { schedulingPolicy: { gang: { minCount: 1 } } } };

function contextOfFakes() {
  const clock = createFakeClock();
  const client = createFakeApiClient(clock);
  const informers = createInformers({ client, clock });
  return {
    client,
    context: { client, informers, clock, logger: silentLogger } as unknown as ControllerContext,
  };
}

it('a PodGroup is kept while a pod of it has not ended', async () => {
  const { client, context } = contextOfFakes();
  await using _informers = context.informers;
  await using _controller = runPodGroupProtection(context);

  const finalizers = async (): Promise<readonly string[] | undefined> => {
    for (let turns = 0; turns < 3; turns++) await untilTurnsEnd();
    return (await client.get(podGroups, where).catch(() => undefined))?.metadata?.finalizers;
  };
  await client.create(podGroups, group);
  expect((await finalizers()) ?? []).toEqual([]);
  const pod = await client.create(pods, {
    metadata: { namespace: 'ns', name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }], schedulingGroup: { podGroupName: 'g' } },
  });
  expect(await finalizers()).toEqual([podGroupFinalizer]);
  await client.delete(podGroups, where);
  expect(await finalizers()).toEqual([podGroupFinalizer]);
  await client.update(pods, { ...pod, status: { phase: 'Succeeded' } }, { subresource: 'status' });
  await finalizers();
  await expect(client.get(podGroups, where)).rejects.toThrow(/not found/);
});

it.each([
  { name: 'new', deleted: false, has: false, seen: false, used: false, want: [podGroupFinalizer] },
  { name: 'going and unused', deleted: true, has: true, seen: false, used: false, want: undefined },
  { name: 'seen to be used', deleted: true, has: true, seen: true, used: true, want: [podGroupFinalizer] },
  {
    name: 'used by who is newer than the cache',
    deleted: true,
    has: true,
    seen: false,
    used: true,
    want: [podGroupFinalizer],
  },
])('an object that is $name', async ({ deleted, has, seen, used, want }) => {
  const { client, context } = contextOfFakes();
  await using _informers = context.informers;

  await client.create(podGroups, {
    ...group,
    metadata: { ...where, finalizers: has ? [podGroupFinalizer] : [] },
  });
  if (deleted) await client.delete(podGroups, where);
  const object = await client.get(podGroups, where);
  await protect(context, {
    ...{ kind: podGroups, object, finalizer: podGroupFinalizer },
    isSeenUsed: () => seen,
    isUsed: async () => used,
  });
  const left = await client.get(podGroups, where).catch(() => undefined);
  expect(left?.metadata?.finalizers).toEqual(want);
});
