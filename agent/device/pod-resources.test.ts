import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { loadContract } from '#proto/load.ts';
import { createUnixClient } from '#proto/unix-client.ts';
import type { Device } from './device.ts';
import { listPodResources, servePodResources, type PodResourcesInput } from './pod-resources.ts';

const directory = scratchDirectory('pr-');

const gpu = 'example.com/gpu';
const device = (id: string, more: Partial<Device> = {}): [string, Device] => [
  id,
  { id, isHealthy: true, numaNodes: [], ...more },
];
const answer = { env: [], mounts: [], nodes: [], annotations: {}, cdiDevices: [] };
const given = (podUid: string, container: string, ...ids: readonly string[]) => ({
  ...{ podUid, container, resource: gpu, ids, answer },
});
const pod = (name: string, phase: 'Running' | 'Failed') => ({
  metadata: { uid: name, name, namespace: 'default' },
  status: { phase },
  spec: {
    initContainers: [{ name: 'init' }, { name: 'side', restartPolicy: 'Always' }],
    containers: [{ name: 'main' }],
  },
});
const input: PodResourcesInput = {
  pods: [pod('a', 'Running'), pod('over', 'Failed')],
  allocations: [
    given('a', 'init', 'x'),
    given('a', 'side', 'x'),
    given('a', 'main', 'y', 'z'),
    given('b', 'c', 'w'),
  ],
  resources: new Map([
    [
      gpu,
      {
        devices: new Map([device('x', { numaNodes: [1] }), device('y'), device('z', { isHealthy: false })]),
        goneSinceMs: undefined,
      },
    ],
    ['example.com/gone', { devices: new Map([device('q')]), goneSinceMs: 1 }],
  ]),
};

it('List, Get and GetAllocatableResources say who has what', async () => {
  await using _server = await servePodResources({
    ...{ directory, read: () => input, clock: systemClock, logger: silentLogger },
  });
  const contract = await loadContract('podresources-v1');
  const { List, Get, GetAllocatableResources } = contract.services['v1.PodResourcesLister'];
  using client = createUnixClient(contract, { endpoint: join(directory, 'kubelet.sock'), timeoutMs: 30_000 });

  const x = { resource_name: gpu, device_ids: ['x'], topology: { nodes: [{ ID: 1 }] } };
  const [y, z] = ['y', 'z'].map((id) => ({ resource_name: gpu, device_ids: [id], topology: null }));
  const rest = { cpu_ids: [], memory: [], dynamic_resources: [] };
  const ofA = {
    ...{ name: 'a', namespace: 'default' },
    containers: [
      { name: 'side', devices: [x], ...rest },
      { name: 'main', devices: [y, z], ...rest },
    ],
  };
  expect(await client.call(List, {})).toEqual({ pod_resources: [ofA] });
  expect(await client.call(Get, { pod_name: 'a', pod_namespace: 'default' })).toEqual({ pod_resources: ofA });
  await expect(client.call(Get, { pod_name: 'b', pod_namespace: 'c' })).rejects.toMatchObject({
    detail: { details: 'pod b in namespace c not found' },
  });
  expect(await client.call(GetAllocatableResources, {})).toEqual({
    devices: [x, y],
    cpu_ids: [],
    memory: [],
  });
});

it('CPUs and memory that containers have alone, and what their claims are, are said, too', () => {
  const own = { cpus: [2, 3], memory: [{ resource: 'memory', bytes: 1024, nodes: 0b10 }] };
  const [said] = listPodResources({
    ...input,
    assignments: {
      ofContainer: (uid, name) => (uid === 'a' && name === 'main' ? own : undefined),
      allocatable: () => own,
    },
  });
  const memory = [{ memory_type: 'memory', size: 1024, topology: { nodes: [{ ID: 1 }] } }];
  expect(said?.containers).toMatchObject([
    { name: 'side', cpu_ids: [], memory: [] },
    { name: 'main', cpu_ids: [2, 3], memory },
  ]);
});
