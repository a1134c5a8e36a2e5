import { isExtendedResource } from '#api/validation/resource-name.ts';
import type { DeclaredFeature } from '#api/pod/declared-features.ts';
import type { Node, NodeCondition, NodeSpec, NodeStatus } from '#api/generated/objects.ts';
import { canonicalQuantity } from '#api/meta/quantity.ts';
import { providedNodeIpAnnotation, uninitializedTaint } from '#api/meta/cloud-node.ts';
import { formatTime } from '#api/meta/time.ts';
import type { DeviceAmount } from '#agent/device/device.ts';
import type { HandlerFeatures, ImageRecord } from '#agent/runtime/runtime.ts';
import type { KubeletSettings } from '#agent/kubelet/config/settings.ts';
import type { PressureCondition } from '#agent/kubelet/evict/pressure.ts';
import { isShort, keptOf, type EvictionSettings, type Signal } from '#agent/kubelet/evict/thresholds.ts';
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
  /** Who makes containers, by name. */
  readonly handlers: ReadonlyMap<string, HandlerFeatures>;
  readonly settings: NodeSettings;
  /** Of what the node was short when it was last looked at, or until not long ago. */
  readonly pressed: ReadonlySet<PressureCondition>;
  readonly runtimeProblem: string | undefined;
  /** Volumes that drivers have, or may have, on the node: they are not detached from it. */
  readonly volumesInUse?: readonly string[];
  /** Of plugins, by resource; those that went have 0. */
  readonly devices?: ReadonlyMap<string, DeviceAmount>;
  /** What other parts of the node say of themselves. */
  readonly moreConditions?: readonly Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>[];
  /** Containers may have CPUs alone (the static policy of the CPU manager). */
  readonly givesCpus?: boolean;
  /** A cloud's controller says what its addresses are and whether there are routes to it, and takes the taint of a new node away. */
  readonly isOfCloud?: boolean;
}

/** What KubeletConfiguration says of a node. */
export type NodeSettings = Pick<
  KubeletSettings,
  'taints' | 'providerId' | 'imagesInStatusMax' | 'reserved' | 'eviction'
>;

/** The Node object that a kubelet registers. Pure. */
export function renderNode(input: NodeInput, now: number): Node {
  return {
    metadata: { name: input.name, labels: nodeLabels(input), annotations: nodeAnnotations(input) },
    spec: nodeSpec(input),
    status: renderNodeStatus(input, undefined, now),
  };
}

/** What it says of itself, and to a cloud what it was told by `--node-ip`. */
export function nodeAnnotations({
  annotations,
  isOfCloud,
  ips,
}: NodeInput): Readonly<Record<string, string>> {
  return isOfCloud === true ? { ...annotations, [providedNodeIpAnnotation]: ips.join(',') } : annotations;
}

function nodeSpec({ settings: { taints: own, providerId }, isOfCloud }: NodeInput): NodeSpec {
  const taints = isOfCloud === true ? [...own, uninitializedTaint] : own;
  return {
    ...(taints.length === 0 ? {} : { taints }),
    ...(providerId === undefined ? {} : { providerID: providerId }),
  };
}

/** Sorted, as the kubelet has them. CPUs that a container has alone stay with it (InPlacePodVerticalScalingExclusiveCPUs is off). */
function declaredFeatures({ givesCpus }: NodeInput): readonly DeclaredFeature[] {
  return [
    ...(givesCpus === true ? [] : (['GuaranteedQoSPodCPUResize'] as const)),
    'InPlacePodLevelResourcesVerticalScaling',
    'RestartAllContainersOnContainerExits',
  ];
}

/** What pods may have of the machine: without what is reserved, and what hard thresholds keep. */
export function allocatableOf(
  machine: Pick<MachineFacts, 'cpuCount' | 'memoryBytes' | 'diskBytes' | 'hugePages'>,
  { reserved, eviction }: Pick<NodeSettings, 'reserved' | 'eviction'>,
): { readonly cpuMilli: number; readonly memoryBytes: number; readonly storageBytes: number } {
  const { cpuCount, memoryBytes, diskBytes, hugePages } = machine;
  const huge = [...(hugePages?.values() ?? [])].reduce((sum, bytes) => sum + bytes, 0);
  const left = (amount: number, ...kept: readonly number[]): number =>
    Math.max(
      0,
      kept.reduce((rest, each) => rest - each, amount),
    );
  return {
    cpuMilli: left(cpuCount * 1000, reserved.cpuMilli),
    memoryBytes: left(
      memoryBytes,
      huge,
      reserved.memoryBytes,
      keptOf(eviction, 'memory.available', memoryBytes),
    ),
    storageBytes: left(diskBytes, reserved.storageBytes, keptOf(eviction, 'nodefs.available', diskBytes)),
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
  const { cpuCount, memoryBytes, diskBytes } = machine;
  const huge = [...(machine.hugePages ?? [])].map(([name, bytes]) => [
    name,
    canonicalQuantity(`${bytes / 1024}Ki`),
  ]);
  const hugePages: Readonly<Record<string, string>> = Object.fromEntries(huge);
  const capacity = {
    ...hugePages,
    ...amounts({ cpuMilli: cpuCount * 1000, memoryBytes, storageBytes: diskBytes }),
    pods: canonicalQuantity(String(input.podsMax)),
    ...devicesOf(input, 'capacity'),
  };
  return {
    addresses:
      input.isOfCloud === true && (reported?.addresses ?? []).length > 0
        ? reported?.addresses
        : [
            ...ips.map((address) => ({ type: 'InternalIP', address })),
            { type: 'Hostname', address: hostname },
          ],
    capacity,
    allocatable: {
      ...hugePages,
      ...amounts(allocatableOf(machine, input.settings)),
      pods: capacity.pods,
      ...devicesOf(input, 'allocatable'),
      ...othersOf(reported, capacity),
    },
    conditions: renderConditions(input, reported?.conditions ?? [], now),
    features: { supplementalGroupsPolicy: true },
    declaredFeatures: declaredFeatures(input),
    runtimeHandlers: [...input.handlers].map(([name, { recursiveReadOnlyMounts, userNamespaces }]) => ({
      name,
      features: { recursiveReadOnlyMounts, userNamespaces: userNamespaces && input.hasUserNamespaces },
    })),
    ...(input.volumesInUse === undefined ? {} : { volumesInUse: input.volumesInUse }),
    daemonEndpoints: { kubeletEndpoint: { Port: input.kubeletPort } },
    nodeInfo: {
      machineID: machine.machineId,
      systemUUID: machine.systemUuid,
      bootID: machine.bootId,
      kernelVersion: machine.kernelRelease,
      osImage: machine.osImage,
      containerRuntimeVersion: input.versions.runtime,
      kubeletVersion: input.versions.kubelet,
      kubeProxyVersion: '', // unset since 1.33 (KEP-4004: a kubelet does not know it)
      operatingSystem: 'linux',
      architecture: machine.architecture,
      ...(machine.swapBytes === undefined ? {} : { swap: { capacity: machine.swapBytes } }),
    },
    images: images
      .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
      .slice(0, input.settings.imagesInStatusMax < 0 ? undefined : input.settings.imagesInStatusMax)
      .map(({ names, digests, sizeBytes }) => ({ names: [...digests, ...names], sizeBytes })),
  };
}

/**
 * Resources that somebody else says the node has (Advertise Extended Resources for a Node): what is written as capacity can be given to pods, and
 * of one that is no capacity any more there is nothing, as of a plugin's that went.
 */
function othersOf(
  { capacity = {}, allocatable = {} }: NodeStatus = {},
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const names = Object.keys({ ...allocatable, ...capacity }).filter(
    (name) => isExtendedResource(name) && !Object.hasOwn(own, name),
  );
  return Object.fromEntries(names.map((name) => [name, capacity[name] ?? '0']));
}

function devicesOf(
  { devices = new Map() }: NodeInput,
  which: keyof DeviceAmount,
): Readonly<Record<string, string>> {
  return Object.fromEntries([...devices].map(([name, amount]) => [name, String(amount[which])]));
}

function amounts(
  of: ReturnType<typeof allocatableOf>,
): Readonly<Record<'cpu' | 'memory' | 'ephemeral-storage', string>> {
  return {
    cpu: canonicalQuantity(`${of.cpuMilli}m`),
    memory: canonicalQuantity(`${Math.floor(of.memoryBytes / 1024)}Ki`),
    'ephemeral-storage': canonicalQuantity(`${Math.floor(of.storageBytes / 1024)}Ki`),
  };
}

/** Whether the disk of pods and images is short, by the hard threshold of nodefs.available. */
export function isDiskLow(
  { diskBytes, diskAvailableBytes }: Pick<MachineFacts, 'diskBytes' | 'diskAvailableBytes'>,
  eviction: EvictionSettings,
): boolean {
  return isBelow(eviction, 'nodefs.available', { available: diskAvailableBytes, capacity: diskBytes });
}

function isBelow(
  { thresholds }: EvictionSettings,
  signal: Signal,
  observed: { readonly available: number; readonly capacity: number },
): boolean {
  return thresholds.some((each) => each.isHard && each.signal === signal && isShort(each, observed, false));
}

type Verdict = Omit<NodeCondition, 'lastHeartbeatTime' | 'lastTransitionTime'>;

function renderConditions(
  { machine, network, isOfCloud, runtimeProblem, moreConditions = [], pressed, ...input }: NodeInput,
  reported: readonly NodeCondition[],
  now: number,
): readonly NodeCondition[] {
  const { eviction } = input.settings;
  const isMemoryLow = isBelow(eviction, 'memory.available', {
    available: machine.memoryAvailableBytes,
    capacity: machine.memoryBytes,
  });
  const arePidsLow = isBelow(eviction, 'pid.available', {
    available: machine.pidsMax - machine.pidsUsed,
    capacity: machine.pidsMax,
  });
  const problem =
    runtimeProblem ??
    (network.isReady ? undefined : `container runtime network not ready: ${network.reason}`);
  const conditions: readonly Verdict[] = [
    pressure('MemoryPressure', isMemoryLow || pressed.has('MemoryPressure'), {
      pressed: 'KubeletHasInsufficientMemory',
      free: 'KubeletHasSufficientMemory',
      message: 'kubelet has sufficient memory available',
    }),
    pressure('DiskPressure', isDiskLow(machine, eviction) || pressed.has('DiskPressure'), {
      pressed: 'KubeletHasDiskPressure',
      free: 'KubeletHasNoDiskPressure',
      message: 'kubelet has no disk pressure',
    }),
    pressure('PIDPressure', arePidsLow || pressed.has('PIDPressure'), {
      pressed: 'KubeletHasInsufficientPID',
      free: 'KubeletHasSufficientPID',
      message: 'kubelet has sufficient PID available',
    }),
    ...(isOfCloud === true ? [] : [networkCondition(network)]),
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

/** Of a node of a cloud its controller of routes writes it. */
function networkCondition({ isReady, reason: message }: NodeInput['network']): Verdict {
  const type = 'NetworkUnavailable';
  return isReady
    ? { type, status: 'False', reason: 'PodNetworkReady', message: 'the pod network is set up' }
    : { type, status: 'True', reason: 'PodNetworkNotReady', message };
}

function pressure(
  type: string,
  isPressed: boolean,
  says: { readonly pressed: string; readonly free: string; readonly message: string },
): Verdict {
  if (!isPressed) return { type, status: 'False', reason: says.free, message: says.message };
  return {
    type,
    status: 'True',
    reason: says.pressed,
    message: `kubelet has ${type.replace(/(?!^)([A-Z])/g, ' $1').toLowerCase()}`,
  };
}
