import { objectKey } from '#api/meta/object.ts';
import type { Node, Pod, Service } from '#api/generated/objects.ts';
import {
  controllerUidOf,
  hostPortsOf,
  requestsOf,
  scoringRequestsOf,
  type ResourceAmounts,
} from './pod-facts.ts';

/** A node with what runs, or was just decided to run, on it. */
export interface NodeInfo {
  readonly name: string;
  readonly node: Node;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly requested: ResourceAmounts;
  /** Requests, with a small amount in place of none, so that pods that ask for nothing spread too. */
  readonly requestedForScore: ResourceAmounts;
  /** Host ports in use, as `protocol/port` and the addresses they are bound on. */
  readonly hostPorts: ReadonlyMap<string, readonly string[]>;
  /** How many of its pods each controller owns. */
  readonly podCountByController: ReadonlyMap<string, number>;
}

/** All that a decision may read. */
export interface Snapshot {
  readonly nodes: readonly NodeInfo[];
  /** Services of a namespace: their pods are spread. */
  readonly services: (namespace: string) => readonly Service[];
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>>;
}

/** The state of a node with these pods on it. */
export function nodeInfo(node: Node, pods: ReadonlyMap<string, Pod>): NodeInfo {
  const name = objectKey(node);
  const empty: NodeInfo = {
    name,
    node,
    pods,
    requested: new Map(),
    requestedForScore: new Map(),
    hostPorts: new Map(),
    podCountByController: new Map(),
  };
  return [...pods.values()].reduce(countPod, empty);
}

/** The node with one more pod, without counting the others again. */
export function withPod(info: NodeInfo, pod: Pod): NodeInfo {
  return { ...countPod(info, pod), pods: new Map(info.pods).set(objectKey(pod), pod) };
}

function countPod(info: NodeInfo, pod: Pod): NodeInfo {
  const controller = controllerUidOf(pod);
  const hostPorts = new Map(info.hostPorts);
  for (const { port, address } of hostPortsOf(pod)) {
    hostPorts.set(port, [...(hostPorts.get(port) ?? []), address]);
  }
  return {
    ...info,
    requested: addAmounts(info.requested, requestsOf(pod)),
    requestedForScore: addAmounts(info.requestedForScore, scoringRequestsOf(pod)),
    hostPorts,
    podCountByController:
      controller === undefined
        ? info.podCountByController
        : addAmounts(info.podCountByController, new Map([[controller, 1]])),
  };
}

function addAmounts(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  const total = new Map(a);
  for (const [name, amount] of b) total.set(name, (total.get(name) ?? 0) + amount);
  return total;
}
