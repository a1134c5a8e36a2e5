import { equalJson } from '#api/wire/json.ts';
import type { Node } from '#api/generated/objects.ts';
import type { ClusterEvent } from '#control-plane/scheduler/cluster-event.ts';

/** What else brings a pod to a queue (kube-scheduler 1.36 pkg/scheduler/framework/events.go, and what it makes of a resource and an action). */
export const queueEvents = {
  add: 'UnschedulablePodAdd',
  update: 'UnschedulablePodUpdate',
  failure: 'ScheduleAttemptFailure',
  backoff: 'BackoffComplete',
  timeout: 'UnschedulableTimeout',
  activate: 'ForceActivate',
} as const;

/** The label `event` of a change of the cluster. Where ours does not tell what came from what changed, it is told as a change. */
export function eventLabelOf(event: ClusterEvent): string {
  if (event.kind === 'node') return nodeLabel(event.old, event.current);
  const [group, kind, how] = changes[event.kind];
  return `${group === '' ? '' : `${group}/`}${kind}${how}`;
}

/** Group and kind of what changed, and how. */
type Change = readonly [group: string, kind: string, how: string];

const changes: Readonly<Record<Exclude<ClusterEvent['kind'], 'node'>, Change>> = {
  nodeGone: ['', 'Node', 'Delete'],
  podPlaced: ['', 'AssignedPod', 'Add'],
  podGone: ['', 'AssignedPod', 'Delete'],
  podEnding: ['', 'AssignedPod', 'Update'],
  podShrunk: ['', 'AssignedPod', 'UpdatePodScaleDown'],
  claim: ['', 'PersistentVolumeClaim', 'Update'],
  csiNode: ['storage.k8s.io', 'CSINode', 'Update'],
  detached: ['storage.k8s.io', 'VolumeAttachment', 'Delete'],
  csiDriver: ['storage.k8s.io', 'CSIDriver', 'Update'],
  capacity: ['storage.k8s.io', 'CSIStorageCapacity', 'Update'],
  volume: ['', 'PersistentVolume', 'Update'],
  deviceClaim: ['resource.k8s.io', 'ResourceClaim', 'Update'],
  namespace: ['', 'Namespace', 'Update'],
  devices: ['resource.k8s.io', 'ResourceSlice', 'Update'],
  podGroup: ['scheduling.k8s.io', 'PodGroup', 'Update'],
  podOfGroup: ['', 'UnschedulablePod', 'Add'],
};

/** In which order it is looked for what of a node has changed. */
const nodeChanges: readonly (readonly [label: string, of: (node: Node) => unknown])[] = [
  ['NodeUpdateNodeAllocatable', ({ status }) => status?.allocatable],
  ['NodeUpdateNodeLabel', ({ metadata }) => metadata?.labels],
  ['NodeUpdateNodeTaint', ({ spec }) => [spec?.taints, spec?.unschedulable]],
  ['NodeUpdateNodeAnnotation', ({ metadata }) => metadata?.annotations],
];

function nodeLabel(old: Node | undefined, current: Node): string {
  if (old === undefined) return 'NodeAdd';
  return nodeChanges.find(([, of]) => !equalJson(of(old), of(current)))?.[0] ?? 'NodeUpdate';
}
