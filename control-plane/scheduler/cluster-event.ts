import { equalJson } from '#api/wire/json.ts';
import type {
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { kubeletPortOf } from '#api/pod/host-ports.ts';
import { volumesDirectoryAnnotation } from '#api/volume/local-volumes.ts';
import { requestsOf } from './pod-facts.ts';

/** A change of the cluster that may help a pod that no node did for. Each filter plugin says which help a pod that it refused. */
export type ClusterEvent =
  /** A node came, or changed in what a filter reads. */
  | { readonly kind: 'node'; readonly old: Node | undefined; readonly current: Node }
  | { readonly kind: 'nodeGone' }
  /** A pod came to a node, or one there has other labels. */
  | { readonly kind: 'podPlaced'; readonly pod: Pod }
  /** A pod left its node, or one there has other labels. */
  | { readonly kind: 'podGone'; readonly pod: Pod }
  /** A pod on a node is about to go: where pods are counted that stay, it is none of them any more. */
  | { readonly kind: 'podEnding'; readonly pod: Pod }
  /** A pod on a node asks for less. */
  | { readonly kind: 'podShrunk' }
  /** A claim came, changed or went: `namespace/name`. */
  | { readonly kind: 'claim'; readonly key: string }
  /** A node says otherwise how many volumes of which drivers it can have. */
  | { readonly kind: 'csiNode' }
  /** A volume is attached to a node no more. */
  | { readonly kind: 'detached' }
  /** A driver says otherwise of what it has left. */
  | { readonly kind: 'capacity' }
  /** A driver says otherwise of itself. */
  | { readonly kind: 'csiDriver' }
  /** A volume or a class came, or changed in what claims ask of it. */
  | { readonly kind: 'volume' }
  /** A claim of devices came, changed or went: `namespace/name`. `isFreed`: it gave its devices back. */
  | { readonly kind: 'deviceClaim'; readonly key: string; readonly isFreed: boolean }
  /** A namespace came, or has other labels. */
  | { readonly kind: 'namespace'; readonly name: string }
  /** There are other devices, or classes of them. */
  | { readonly kind: 'devices' }
  /** A PodGroup came, or says otherwise: `namespace/name`. */
  | { readonly kind: 'podGroup'; readonly key: string }
  /** A PodGroup has one more pod, or one more on a node: `namespace/name`. */
  | { readonly kind: 'podOfGroup'; readonly key: string };

type NodeEvent = Extract<ClusterEvent, { kind: 'node' }>;

export function isNewNode(event: ClusterEvent): boolean {
  return event.kind === 'node' && event.old === undefined;
}

/** Whether the node is new, or another in this. */
export function changesOf({ old, current }: NodeEvent, of: (node: Node) => unknown): boolean {
  return old === undefined || !equalJson(of(old), of(current));
}

export const labelsOf = ({ metadata }: Node): unknown => metadata?.labels;

/** Nothing for a heartbeat: it changes only conditions. */
export function nodeEvent(old: Node | undefined, current: Node | undefined): readonly ClusterEvent[] {
  if (current === undefined) return [{ kind: 'nodeGone' }];
  const relevant = (node: Node): unknown => [
    node.metadata?.labels,
    node.spec?.taints ?? [], // None may be said in two ways.
    node.spec?.unschedulable === true,
    node.status?.allocatable,
    node.status?.addresses,
    node.status?.declaredFeatures,
    kubeletPortOf(node),
    node.metadata?.annotations?.[volumesDirectoryAnnotation],
  ];
  if (old !== undefined && equalJson(relevant(old), relevant(current))) return [];
  return [{ kind: 'node', old, current }];
}

/** Nothing for what is said of a namespace beside its labels. */
export function namespaceEvent(
  name: string,
  old: Namespace | undefined,
  current: Namespace | undefined,
): readonly ClusterEvent[] {
  return equalJson(old?.metadata?.labels, current?.metadata?.labels) ? [] : [{ kind: 'namespace', name }];
}

/** What became of pods on nodes; undefined: it is on none. */
export function placedPodEvents(old: Pod | undefined, current: Pod | undefined): readonly ClusterEvent[] {
  if (current === undefined) return old === undefined ? [] : [{ kind: 'podGone', pod: old }];
  if (old === undefined) return [{ kind: 'podPlaced', pod: current }];
  const events: ClusterEvent[] = [];
  const [before, after] = [requestsOf(old), requestsOf(current)];
  if ([...before].some(([name, amount]) => (after.get(name) ?? 0) < amount))
    events.push({ kind: 'podShrunk' });
  if (old.metadata?.deletionTimestamp === undefined && current.metadata?.deletionTimestamp !== undefined)
    events.push({ kind: 'podEnding', pod: current });
  if (!equalJson(old.metadata?.labels, current.metadata?.labels))
    events.push({ kind: 'podGone', pod: old }, { kind: 'podPlaced', pod: current });
  return events;
}

/** Nothing for what is said of a claim beside which volume it has. */
export function claimEvent(
  key: string,
  old: PersistentVolumeClaim | undefined,
  current: PersistentVolumeClaim | undefined,
): readonly ClusterEvent[] {
  const relevant = (claim: PersistentVolumeClaim): unknown => [
    claim.spec,
    claim.metadata?.annotations,
    claim.metadata?.deletionTimestamp,
    claim.status?.phase,
  ];
  const isSame = old !== undefined && current !== undefined && equalJson(relevant(old), relevant(current));
  return isSame ? [] : [{ kind: 'claim', key }];
}

/** Nothing for a volume that goes, or is bound: that is told by its claim. */
export function volumeEvent(
  old: PersistentVolume | undefined,
  current: PersistentVolume | undefined,
): readonly ClusterEvent[] {
  if (current === undefined) return [];
  const relevant = ({ metadata, spec, status }: PersistentVolume): unknown => [
    spec,
    metadata?.labels,
    status?.phase === 'Available',
  ];
  return old !== undefined && equalJson(relevant(old), relevant(current)) ? [] : [{ kind: 'volume' }];
}

/** Nothing for what drivers say of devices that a claim was given. */
export function deviceClaimEvent(
  key: string,
  old: ResourceClaim | undefined,
  current: ResourceClaim | undefined,
): readonly ClusterEvent[] {
  const relevant = (claim: ResourceClaim): unknown => [
    claim.status?.allocation,
    claim.status?.reservedFor,
    claim.metadata?.deletionTimestamp,
  ];
  if (old !== undefined && current !== undefined && equalJson(relevant(old), relevant(current))) return [];
  const isFreed = old?.status?.allocation !== undefined && current?.status?.allocation === undefined;
  return [{ kind: 'deviceClaim', key, isFreed }];
}
