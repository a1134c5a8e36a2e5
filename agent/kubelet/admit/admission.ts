import type { Pod } from '#api/generated/objects.ts';
import { qosClass } from '#api/pod/qos.ts';
import { isTerminal } from '#api/pod/state.ts';
import { toleratesTaint } from '#api/pod/tolerations.ts';
import { isCritical } from '#agent/kubelet/evict/pressure.ts';
import { bandwidthRefusal } from './bandwidth.ts';
import { portConflict } from './host-ports.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';
import type { Refusal } from './refusal.ts';
import { notAdmitted } from '#agent/kubelet/shutdown/plan-shutdown.ts';
import { shortage } from './resources.ts';
import { sysctlRefusal } from './sysctls.ts';
import { unsupportedIn } from './unsupported.ts';

export interface AdmissionRequest {
  readonly pod: Pod;
  /** The other pods of the node that have not ended. */
  readonly active: readonly Pod[];
  readonly node: NodeFacts;
}

/** One thing that a node asks before it takes a pod. Pure. */
export interface AdmissionHandler {
  readonly name: string;
  readonly refuse: (request: AdmissionRequest) => Refusal | undefined;
}

/** Asked in this order; the first refusal is the pod's status. */
export const admissionHandlers: readonly AdmissionHandler[] = [
  { name: 'shutdown', refuse: ({ node }) => (node.isGoingDown?.() === true ? notAdmitted : undefined) },
  { name: 'sysctls', refuse: ({ pod, node }) => sysctlRefusal(pod, node.allowedUnsafeSysctls) },
  { name: 'operating system', refuse: ({ pod }) => otherSystem(pod) },
  { name: 'pressure', refuse: ({ pod, node }) => pressed(pod, node) },
  { name: 'user namespaces', refuse: ({ pod, node }) => noUsers(pod, node) },
  { name: 'AppArmor', refuse: ({ pod, node }) => unconfinable(pod, node) },
  { name: 'unsupported fields', refuse: ({ pod, node }) => unsupported(pod, node) },
  { name: 'bandwidth', refuse: ({ pod }) => bandwidthRefusal(pod) },
  { name: 'host ports', refuse: ({ pod, active }) => portConflict(pod, active) },
  { name: 'resources', refuse: ({ pod, active, node }) => shortage(pod, active, node) },
];

/**
 * Whether the node takes a new pod. The scheduler has decided the same before, but pods may name their node themselves, and
 * two schedulers may have decided at once.
 */
export function refusalOf(pod: Pod, others: readonly Pod[], node: NodeFacts): Refusal | undefined {
  const active = others.filter((other) => other.metadata?.uid !== pod.metadata?.uid && !isTerminal(other));
  for (const { refuse } of admissionHandlers) {
    const refusal = refuse({ pod, active, node });
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function otherSystem({ metadata, spec }: Pod): Refusal | undefined {
  const label = metadata?.labels?.['kubernetes.io/os'];
  if (label !== undefined && label !== 'linux') {
    const message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
    return { reason: 'PodOSSelectorNodeLabelDoesNotMatch', message };
  }
  if (spec?.os?.name === undefined || spec.os.name === 'linux') return undefined;
  const message = `Failed to admit pod as the OS field doesn't match node OS`;
  return { reason: 'PodOSNotSupported', message };
}

/** Memory alone is short: a pod that asked for some may come; of anything else no pod may (eviction manager, Admit). */
function pressed(pod: Pod, node: NodeFacts): Refusal | undefined {
  const conditions = [...(node.pressed?.() ?? [])];
  if (conditions.length === 0 || isCritical(pod)) return undefined;
  const isMemoryAlone = conditions.length === 1 && conditions[0] === 'MemoryPressure';
  const taint = { key: 'node.kubernetes.io/memory-pressure', effect: 'NoSchedule' } as const;
  const mayCome =
    qosClass(pod) !== 'BestEffort' ||
    (pod.spec?.tolerations ?? []).some((each) => toleratesTaint(each, taint));
  if (isMemoryAlone && mayCome) return undefined;
  return { reason: 'Evicted', message: `The node had condition: [${conditions.join(' ')}]. ` };
}

/** The same words as for a field that no node here has, with what this one lacks. */
function noUsers({ spec }: Pod, { userNamespaceProblem: problem }: NodeFacts): Refusal | undefined {
  if (spec?.hostUsers !== false || problem === undefined) return undefined;
  const message = `spec.hostUsers: false is not supported by this node: ${problem}`;
  return { reason: 'UnexpectedAdmissionError', message };
}

/** No profile where the kernel has none (lifecycle.NewAppArmorAdmitHandler). */
function unconfinable(pod: Pod, { appArmorProblem: problem }: NodeFacts): Refusal | undefined {
  const { spec } = pod;
  if (problem === undefined || spec === undefined) return undefined;
  const containers = [
    ...(spec.initContainers ?? []),
    ...spec.containers,
    ...(spec.ephemeralContainers ?? []),
  ];
  const types = [spec, ...containers].map(({ securityContext }) => securityContext?.appArmorProfile?.type);
  const isAsked = types.some((type) => type !== undefined && type !== 'Unconfined');
  return isAsked ? { reason: 'AppArmor', message: `Cannot enforce AppArmor: ${problem}` } : undefined;
}

/** Nothing that is asked for is silently left out. */
function unsupported(pod: Pod, node: NodeFacts): Refusal | undefined {
  const missing = unsupportedIn(pod, node);
  if (missing === undefined) return undefined;
  return { reason: 'UnexpectedAdmissionError', message: `${missing} is not supported by this node` };
}
