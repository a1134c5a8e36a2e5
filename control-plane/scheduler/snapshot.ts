import { objectKey } from '#api/meta/object.ts';
import { equalJson } from '#api/wire/json.ts';
import type { DeviceLookUp } from './devices/look-up.ts';
import type { VolumeLookUp } from './volumes/look-up.ts';
import type { Node, Pod, PodAffinityTerm, Service } from '#api/generated/objects.ts';
import {
  allocatableOf,
  controllerUidOf,
  hostPortsOf,
  imageSizesOf,
  requestsOf,
  scoringRequestsOf,
  type ResourceAmounts,
} from './pod-facts.ts';

/** A node with what runs, or was just decided to run, on it. */
export interface NodeInfo {
  readonly name: string;
  readonly node: Node;
  /** What the node has for pods, and the bytes of each image that it has, by name. */
  readonly allocatable: ResourceAmounts;
  readonly imageSizes: ReadonlyMap<string, number>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly requested: ResourceAmounts;
  /** Requests, with a small amount in place of none, so that pods that ask for nothing spread too. */
  readonly requestedForScore: ResourceAmounts;
  /** Host ports in use, as `protocol/port` and the addresses they are bound on. */
  readonly hostPorts: ReadonlyMap<string, readonly string[]>;
  /** How many of its pods each controller owns. */
  readonly podCountByController: ReadonlyMap<string, number>;
  /** Keys of those of its pods that refuse others by required anti-affinity. */
  readonly antiAffinePods: ReadonlySet<string>;
  /** Keys of those of its pods that state affinity or anti-affinity to others, required or preferred. */
  readonly affinePods: ReadonlySet<string>;
  /** Of its pods; Infinity without any. */
  readonly lowestPriority: number;
}

/** All that a decision may read. */
export interface Snapshot {
  readonly nodes: readonly NodeInfo[];
  /** One of the nodes; looked for if it is not given. */
  readonly nodeNamed?: (name: string) => NodeInfo | undefined;
  /** Those of the nodes that have pods with required anti-affinity; looked for if it is not given. */
  readonly antiAffineNodes?: readonly NodeInfo[];
  /** Those of the nodes that have pods with affinity or anti-affinity; looked for if it is not given. */
  readonly affineNodes?: readonly NodeInfo[];
  /** How many these are, which costs less than the lists. */
  readonly antiAffineCount?: number;
  readonly affineCount?: number;
  /** How many of the nodes have an image, by one of its names; counted if it is not given. */
  readonly nodesWithImage?: (name: string) => number;
  /** Pods that wait for others to go from the node; without, nobody does. */
  readonly nominated?: (nodeName: string) => readonly Pod[];
  /** How many of the nodes have a pod of lower priority than this; counted if it is not given. */
  readonly nodesBelow?: (priority: number) => number;
  /** Services of a namespace: their pods are spread. */
  readonly services: (namespace: string) => readonly Service[];
  /** Claims and volumes; without, a pod that uses claims has none. */
  readonly volumes?: VolumeLookUp;
  /** Devices and claims of them; without, there are none. */
  readonly devices?: DeviceLookUp;
  /** Another number whenever labels of a namespace may have changed. */
  readonly namespaceVersion?: number;
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>>;
}

/** The state of a node with these pods on it; keeps the map, which its owner may change together with the state. */
export function nodeInfo(node: Node, pods: ReadonlyMap<string, Pod>): NodeInfo {
  const name = objectKey(node);
  const counts = noCounts();
  let lowestPriority = Infinity;
  for (const pod of pods.values()) {
    addPod(counts, pod);
    lowestPriority = Math.min(lowestPriority, priorityOf(pod));
  }
  return { name, ...factsOf(node), pods, ...counts, lowestPriority };
}

/** What is on the node, with what it says of itself now. */
export function withNode(info: NodeInfo, node: Node): NodeInfo {
  return { ...info, ...factsOf(node) };
}

function factsOf(node: Node): Pick<NodeInfo, 'node' | 'allocatable' | 'imageSizes'> {
  return { node, allocatable: allocatableOf(node), imageSizes: imageSizesOf(node) };
}

/** The node with one more pod, which is in its map already, without counting the others again. */
export function withPod(info: NodeInfo, pod: Pod): NodeInfo {
  const counts: Counts = {
    requested: new Map(info.requested),
    requestedForScore: new Map(info.requestedForScore),
    hostPorts: new Map(info.hostPorts),
    podCountByController: new Map(info.podCountByController),
    antiAffinePods: new Set(info.antiAffinePods),
    affinePods: new Set(info.affinePods),
  };
  addPod(counts, pod);
  return { ...info, ...counts, lowestPriority: Math.min(info.lowestPriority, priorityOf(pod)) };
}

/** Of a pod without one, which admission gives every pod: 0. */
export function priorityOf(pod: Pod): number {
  return pod.spec?.priority ?? 0;
}

/** Whether a new version of a pod changes nothing of what is counted of it: most are of a status. */
export function countsTheSame(old: Pod, current: Pod): boolean {
  const isSame = <T>(of: (pod: Pod) => T): boolean => {
    const [before, after] = [of(old), of(current)];
    return before === after || equalJson(before, after);
  };
  const isSameMap = (of: (pod: Pod) => ResourceAmounts): boolean =>
    of(old) === of(current) || isSame((pod) => [...of(pod)]);
  return (
    isSameMap(requestsOf) &&
    isSameMap(scoringRequestsOf) &&
    isSame(priorityOf) &&
    isSame(controllerUidOf) &&
    isSame((pod) => antiAffinityOf(pod).length > 0) &&
    isSame(isAffine) &&
    isSame(hostPortsOf) &&
    // What selectors of other pods look at: counts of them are kept with the state of the node.
    isSame(({ metadata }) => metadata?.labels) &&
    isSame(({ metadata }) => metadata?.deletionTimestamp === undefined)
  );
}

/** Required anti-affinity that a pod states. */
export function antiAffinityOf(pod: Pod): readonly PodAffinityTerm[] {
  return pod.spec?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
}

function isAffine({ spec }: Pod): boolean {
  return spec?.affinity?.podAffinity !== undefined || spec?.affinity?.podAntiAffinity !== undefined;
}

interface Counts {
  readonly requested: Map<string, number>;
  readonly requestedForScore: Map<string, number>;
  readonly hostPorts: Map<string, readonly string[]>;
  readonly podCountByController: Map<string, number>;
  readonly antiAffinePods: Set<string>;
  readonly affinePods: Set<string>;
}

function noCounts(): Counts {
  return {
    requested: new Map(),
    requestedForScore: new Map(),
    hostPorts: new Map(),
    podCountByController: new Map(),
    antiAffinePods: new Set(),
    affinePods: new Set(),
  };
}

function addPod(counts: Counts, pod: Pod): void {
  const controller = controllerUidOf(pod);
  for (const { port, address } of hostPortsOf(pod))
    counts.hostPorts.set(port, [...(counts.hostPorts.get(port) ?? []), address]);
  addAmounts(counts.requested, requestsOf(pod));
  addAmounts(counts.requestedForScore, scoringRequestsOf(pod));
  if (controller !== undefined) addAmounts(counts.podCountByController, new Map([[controller, 1]]));
  if (antiAffinityOf(pod).length > 0) counts.antiAffinePods.add(objectKey(pod));
  if (isAffine(pod)) counts.affinePods.add(objectKey(pod));
}

function addAmounts(total: Map<string, number>, more: ResourceAmounts): void {
  for (const [name, amount] of more) total.set(name, (total.get(name) ?? 0) + amount);
}
