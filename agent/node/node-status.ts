import type { Node, NodeCondition, NodeStatus } from '#api/generated/objects.ts';
import { canonicalQuantity } from '#api/meta/quantity.ts';
import { formatTime } from '#api/meta/time.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import type { MachineFacts } from './machine.ts';

/** All that a node's status is made of. */
export interface NodeInput {
  readonly name: string;
  readonly ips: readonly string[];
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What else the node says of itself. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly podsMax: number;
  readonly kubeletPort: number;
  readonly versions: { readonly kubelet: string; readonly runtime: string };
  readonly machine: MachineFacts;
  readonly images: readonly ImageRecord[];
  readonly network: { readonly isReady: boolean; readonly reason: string };
  readonly hasUserNamespaces: boolean;
  readonly runtimeProblem: string | undefined;
  /** What other parts of the node say of themselves. */
  readonly moreConditions?: readonly Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>[];
}

// kubelet's default hard eviction thresholds.
const memoryAvailableMinBytes = 100 * 1024 * 1024;
const diskAvailableMinFraction = 0.1;
const pidsAvailableMinFraction = 0.05;
const imagesMax = 50;

/** The Node object that a kubelet registers. Pure. */
export function renderNode(input: NodeInput, now: number): Node {
  return {
    metadata: { name: input.name, labels: nodeLabels(input), annotations: input.annotations },
    spec: {},
    status: renderNodeStatus(input, undefined, now),
  };
}

export function nodeLabels({ name, labels, machine }: NodeInput): Readonly<Record<string, string>> {
  return {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': machine.architecture,
    'beta.kubernetes.io/os': 'linux',
    'beta.kubernetes.io/arch': machine.architecture,
    ...labels,
  };
}

/** Pure. Times of transition are kept from the reported conditions that did not change. */
export function renderNodeStatus(
  input: NodeInput,
  reported: NodeStatus | undefined,
  now: number,
): NodeStatus {
  const { machine, ips, hostname, images } = input;
  // In canonical form, as the server keeps them: 4194304Ki is 4Gi, and would be reported again and again.
  const capacity = {
    cpu: canonicalQuantity(String(machine.cpuCount)),
    memory: canonicalQuantity(`${Math.floor(machine.memoryBytes / 1024)}Ki`),
    'ephemeral-storage': canonicalQuantity(`${Math.floor(machine.diskBytes / 1024)}Ki`),
    pods: canonicalQuantity(String(input.podsMax)),
  };
  return {
    addresses: [
      ...ips.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: hostname },
    ],
    capacity,
    allocatable: capacity,
    conditions: renderConditions(input, reported?.conditions ?? [], now),
    features: { supplementalGroupsPolicy: true },
    runtimeHandlers: [
      { name: '', features: { recursiveReadOnlyMounts: true, userNamespaces: input.hasUserNamespaces } },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: input.kubeletPort } },
    nodeInfo: {
      machineID: machine.machineId,
      systemUUID: machine.systemUuid,
      bootID: machine.bootId,
      kernelVersion: machine.kernelRelease,
      osImage: machine.osImage,
      containerRuntimeVersion: input.versions.runtime,
      kubeletVersion: input.versions.kubelet,
      kubeProxyVersion: input.versions.kubelet,
      operatingSystem: 'linux',
      architecture: machine.architecture,
    },
    images: images
      .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
      .slice(0, imagesMax)
      .map(({ names, digests, sizeBytes }) => ({ names: [...digests, ...names], sizeBytes })),
  };
}

/** Whether the disk of pods and images is short (evictionHard nodefs.available<10%). */
export function isDiskLow({
  diskBytes,
  diskAvailableBytes,
}: Pick<MachineFacts, 'diskBytes' | 'diskAvailableBytes'>): boolean {
  return diskAvailableBytes < diskBytes * diskAvailableMinFraction;
}

function renderConditions(
  { machine, network, runtimeProblem, moreConditions = [] }: NodeInput,
  reported: readonly NodeCondition[],
  now: number,
): readonly NodeCondition[] {
  const isMemoryLow = machine.memoryAvailableBytes < memoryAvailableMinBytes;
  const arePidsLow = machine.pidsMax - machine.pidsUsed < machine.pidsMax * pidsAvailableMinFraction;
  const problem =
    runtimeProblem ??
    (network.isReady ? undefined : `container runtime network not ready: ${network.reason}`);
  const conditions: readonly Omit<NodeCondition, 'lastHeartbeatTime' | 'lastTransitionTime'>[] = [
    pressure('MemoryPressure', isMemoryLow, {
      pressed: 'KubeletHasInsufficientMemory',
      free: 'KubeletHasSufficientMemory',
      message: 'kubelet has sufficient memory available',
    }),
    pressure('DiskPressure', isDiskLow(machine), {
      pressed: 'KubeletHasDiskPressure',
      free: 'KubeletHasNoDiskPressure',
      message: 'kubelet has no disk pressure',
    }),
    pressure('PIDPressure', arePidsLow, {
      pressed: 'KubeletHasInsufficientPID',
      free: 'KubeletHasSufficientPID',
      message: 'kubelet has sufficient PID available',
    }),
    network.isReady
      ? {
          type: 'NetworkUnavailable',
          status: 'False',
          reason: 'PodNetworkReady',
          message: 'the pod network is set up',
        }
      : { type: 'NetworkUnavailable', status: 'True', reason: 'PodNetworkNotReady', message: network.reason },
    ...moreConditions,
    problem === undefined
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: problem },
  ];
  return conditions.map((condition) => {
    const old = reported.find(({ type }) => type === condition.type);
    const isSame = old?.status === condition.status;
    return {
      ...condition,
      lastHeartbeatTime: formatTime(now),
      lastTransitionTime: isSame ? (old.lastTransitionTime ?? formatTime(now)) : formatTime(now),
    };
  });
}

function pressure(
  type: string,
  isPressed: boolean,
  says: { readonly pressed: string; readonly free: string; readonly message: string },
): Omit<NodeCondition, 'lastHeartbeatTime' | 'lastTransitionTime'> {
  if (!isPressed) return { type, status: 'False', reason: says.free, message: says.message };
  return {
    type,
    status: 'True',
    reason: says.pressed,
    message: `kubelet has ${type.replace(/(?!^)([A-Z])/g, ' $1').toLowerCase()}`,
  };
}
