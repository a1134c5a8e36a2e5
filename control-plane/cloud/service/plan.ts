import { equalJson } from '#api/wire/json.ts';
import type { Node, Service, ServiceSpec } from '#api/generated/objects.ts';

/** Keeps a Service until its balancer is gone (KEP-980). */
export const cleanupFinalizer = 'service.kubernetes.io/load-balancer-cleanup';
const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';
/** The Cluster Autoscaler is about to remove the node. */
const toBeDeletedTaint = 'ToBeDeletedByClusterAutoscaler';

/** One of a class is another's. */
export const wantsBalancer = ({ spec }: Service): boolean =>
  spec?.type === 'LoadBalancer' && spec.loadBalancerClass === undefined;

const hasFinalizer = ({ metadata }: Service): boolean =>
  metadata?.finalizers?.includes(cleanupFinalizer) === true;

/** It goes, or is of another type now. */
export const needsCleanup = (service: Service): boolean =>
  hasFinalizer(service) &&
  (service.metadata?.deletionTimestamp !== undefined || service.spec?.type !== 'LoadBalancer');

/** What a balancer was last made of. */
export interface Ensured {
  readonly service: Service;
  readonly nodes: string;
}

export type BalancerPlan = 'leave' | 'delete' | 'ensure' | 'update';

/** @param ensured undefined: nothing is known, as after a start. Pure. */
export function planBalancer(service: Service, nodeKey: string, ensured: Ensured | undefined): BalancerPlan {
  if (needsCleanup(service)) return 'delete';
  if (!wantsBalancer(service) || service.metadata?.deletionTimestamp !== undefined) return 'leave';
  if (ensured === undefined || !hasFinalizer(service) || isOther(ensured.service, service)) return 'ensure';
  return ensured.nodes === nodeKey ? 'leave' : 'update';
}

const compared = [
  'loadBalancerSourceRanges',
  'ports',
  'sessionAffinity',
  'sessionAffinityConfig',
  'loadBalancerIP',
  'externalIPs',
  'externalTrafficPolicy',
  'healthCheckNodePort',
  'ipFamilies',
  'ipFamilyPolicy',
] as const satisfies readonly (keyof ServiceSpec)[];

/** Whether the cloud's balancer may be another by what changed. */
function isOther(old: Service, current: Service): boolean {
  return (
    old.metadata?.uid !== current.metadata?.uid ||
    !equalJson(old.metadata?.annotations ?? {}, current.metadata?.annotations ?? {}) ||
    compared.some((field) => !equalJson(old.spec?.[field], current.spec?.[field]))
  );
}

export interface Told {
  readonly reason: string;
  readonly message: string;
}

/** What Kubernetes tells of a change that the balancer will follow, the first that applies; undefined: nothing. Pure. */
export function describeChange(old: Service, current: Service): Told | undefined {
  const [before, after] = [wantsBalancer(old), wantsBalancer(current)];
  if (!before && !after) return undefined;
  const change = (reason: string, a: unknown, b: unknown): Told => ({
    reason,
    message: `${goText(a)} -> ${goText(b)}`,
  });
  const [from, to] = [old.spec, current.spec];
  if (before !== after) return change('Type', from?.type, to?.type);
  const differs = (field: keyof ServiceSpec): boolean => !equalJson(from?.[field], to?.[field]);
  if (differs('loadBalancerSourceRanges'))
    return change(
      'LoadBalancerSourceRanges',
      from?.loadBalancerSourceRanges ?? [],
      to?.loadBalancerSourceRanges ?? [],
    );
  if (differs('ports') || differs('sessionAffinity') || differs('sessionAffinityConfig')) return undefined;
  if (differs('loadBalancerIP')) return change('LoadbalancerIP', from?.loadBalancerIP, to?.loadBalancerIP);
  const external = describeExternal(from?.externalIPs ?? [], to?.externalIPs ?? []);
  if (external !== undefined) return external;
  if (!equalJson(old.metadata?.annotations ?? {}, current.metadata?.annotations ?? {})) return undefined;
  if (old.metadata?.uid !== current.metadata?.uid)
    return change('UID', old.metadata?.uid, current.metadata?.uid);
  if (differs('externalTrafficPolicy'))
    return change('ExternalTrafficPolicy', from?.externalTrafficPolicy, to?.externalTrafficPolicy);
  return differs('healthCheckNodePort')
    ? change('HealthCheckNodePort', from?.healthCheckNodePort ?? 0, to?.healthCheckNodePort ?? 0)
    : undefined;
}

function describeExternal(from: readonly string[], to: readonly string[]): Told | undefined {
  const reason = 'ExternalIP';
  if (from.length !== to.length) return { reason, message: `Count: ${from.length} -> ${to.length}` };
  const added = to.find((ip, index) => from[index] !== ip);
  return added === undefined ? undefined : { reason, message: `Added: ${added}` };
}

/** As Go's %v prints it. */
function goText(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(' ')}]` : String(value ?? '');
}

/** Nodes that balancers send to: whether they are ready is for the balancer's own checks to see (KEP-3458). Pure. */
export function balancedNodes(nodes: readonly Node[]): readonly Node[] {
  return nodes.filter(
    (node) => isIncluded(node) && !node.spec?.taints?.some(({ key }) => key === toBeDeletedTaint),
  );
}

/** Changes by which balancers are told of other nodes: that one is about to be removed is none, so that its connections end in their time. Pure. */
export function nodeKeyOf(nodes: readonly Node[]): string {
  return nodes
    .filter(isIncluded)
    .map(({ metadata, spec }) => `${metadata?.name ?? ''} ${spec?.providerID ?? ''}`)
    .toSorted()
    .join('\n');
}

const isIncluded = ({ metadata }: Node): boolean =>
  metadata?.deletionTimestamp === undefined && metadata?.labels?.[excludeLabel] === undefined;
