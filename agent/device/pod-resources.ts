/** What containers of a node have, for who monitors devices: k8s.io/kubelet/pkg/apis/podresources/v1. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Pod } from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { Outgoing } from '#proto/contract.ts';
import { loadContract } from '#proto/load.ts';
import type {
  AllocatableResourcesResponse,
  ContainerDevices,
  ContainerMemory,
  ContainerResources,
  PodResources,
} from '#proto/podresources/api.ts';
import { refusal } from '#proto/status.ts';
import { serveUnixOnDemand, serviceOf } from '#proto/unix-server.ts';
import type { MemoryBlock } from '#agent/kubelet/assign/assignment.ts';
import { nodesIn } from '#agent/kubelet/assign/hints.ts';
import type { NodeAssignments } from '#agent/kubelet/assign/node-assignments.ts';
import type { DeviceCounts } from './device-counts.ts';
import { dynamicResourcesOf } from './claims/container-claims.ts';
import type { PodClaims } from './claims/pod-claims.ts';
import type { DeviceAllocation, DeviceResources } from './device.ts';

export interface PodResourcesInput {
  readonly pods: readonly Pod[];
  readonly allocations: readonly DeviceAllocation[];
  readonly resources: DeviceResources;
  /** Undefined: nobody has CPUs or memory alone. */
  readonly assignments?: Pick<NodeAssignments, 'ofContainer' | 'allocatable'> | undefined;
  /** Undefined: no claims are made ready here. */
  readonly claims?: Pick<PodClaims, 'records'> | undefined;
}

export interface PodResourcesOptions {
  /** `pod-resources`. Made if it is not there. */
  readonly directory: string;
  readonly read: () => PodResourcesInput;
  readonly counts?: DeviceCounts;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Loads gRPC when the first one asks. */
export async function servePodResources(options: PodResourcesOptions): Promise<AsyncDisposable> {
  const { directory, read, counts, clock, logger } = options;
  const counted = <T>(name: string, answer: () => T): T => {
    for (const key of ['requests_total', `requests_${name}`]) counts?.count(counts.podResources, key);
    try {
      return answer();
    } catch (error) {
      counts?.count(counts.podResources, `errors_${name}`);
      throw error;
    }
  };
  await mkdir(directory, { recursive: true, mode: 0o750 });
  return serveUnixOnDemand(
    async () => {
      const contract = await loadContract('podresources-v1');
      const lister = serviceOf(contract.services['v1.PodResourcesLister'], {
        List: () => counted('list', () => ({ pod_resources: listPodResources(read()) })),
        GetAllocatableResources: () => counted('get_allocatable', () => allocatableIn(read())),
        Get: ({ pod_namespace: namespace, pod_name: name }) =>
          counted('get', () => ({ pod_resources: podResourcesOf(namespace, name, read()) })),
      });
      return { ...contract, services: [lister] };
    },
    { path: join(directory, 'kubelet.sock'), clock, log: logger },
  );
}

/** @throws in the kubelet's words */
function podResourcesOf(namespace: string, name: string, input: PodResourcesInput): Outgoing<PodResources> {
  const pod = input.pods.find(({ metadata }) => metadata?.name === name && metadata.namespace === namespace);
  if (pod === undefined) throw refusal('UNKNOWN', `pod ${name} in namespace ${namespace} not found`);
  return resourcesOf(pod, input);
}

function allocatableIn(input: PodResourcesInput): Outgoing<AllocatableResourcesResponse> {
  const { cpus = [], memory = [] } = input.assignments?.allocatable() ?? {};
  return { devices: allocatableDevices(input), cpu_ids: cpus, memory: memory.map(memoryOf) };
}

/** Of pods that are not over. Pure. */
export function listPodResources(input: PodResourcesInput): readonly Outgoing<PodResources>[] {
  return input.pods.filter((pod) => !isTerminal(pod)).map((pod) => resourcesOf(pod, input));
}

/** Those that may be given to containers, one entry each as the kubelet has it. Pure. */
export function allocatableDevices({ resources }: PodResourcesInput): readonly Outgoing<ContainerDevices>[] {
  return [...resources].flatMap(([resource, { devices, goneSinceMs }]) => {
    if (goneSinceMs !== undefined) return [];
    const healthy = [...devices.values()].filter(({ isHealthy }) => isHealthy);
    return healthy.map(({ id }) => deviceOf(resource, id, resources));
  });
}

/** Containers that run beside each other: init containers that end are not among them (kubelet's apis/podresources). */
function resourcesOf(pod: Pod, input: PodResourcesInput): Outgoing<PodResources> {
  const { metadata, spec } = pod;
  const uid = metadata?.uid ?? '';
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const records = input.claims?.records(uid) ?? [];
  const containers = [...sidecars, ...(spec?.containers ?? [])].map(
    (container): Outgoing<ContainerResources> => {
      const { name } = container;
      const own = input.allocations.filter((each) => each.podUid === uid && each.container === name);
      const devices = own.flatMap(({ resource, ids }) =>
        ids.map((id) => deviceOf(resource, id, input.resources)),
      );
      const { cpus = [], memory = [] } = input.assignments?.ofContainer(uid, name) ?? {};
      const dynamic = dynamicResourcesOf(pod, container, records);
      return { name, devices, cpu_ids: cpus, memory: memory.map(memoryOf), dynamic_resources: dynamic };
    },
  );
  return { name: metadata?.name ?? '', namespace: metadata?.namespace ?? '', containers };
}

function memoryOf({ resource, bytes, nodes }: MemoryBlock): Outgoing<ContainerMemory> {
  return {
    ...{ memory_type: resource, size: bytes },
    topology: { nodes: nodesIn(nodes).map((ID) => ({ ID })) },
  };
}

function deviceOf(resource: string, id: string, resources: DeviceResources): Outgoing<ContainerDevices> {
  const nodes = resources.get(resource)?.devices.get(id)?.numaNodes ?? [];
  const topology = nodes.length === 0 ? {} : { topology: { nodes: nodes.map((ID) => ({ ID })) } };
  return { resource_name: resource, device_ids: [id], ...topology };
}
