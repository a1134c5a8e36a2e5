import type { GroupVersion } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';

/*
 * What the server says of the versions that it serves itself, for who asks which server answers what: as kube-apiserver 1.36 has them,
 * group, version, priority of the group, and of the version in it.
 */
const served = [
  ['', 'v1', 18_000, 1],
  ['admissionregistration.k8s.io', 'v1', 16_700, 15],
  ['apiextensions.k8s.io', 'v1', 16_700, 15],
  ['apps', 'v1', 17_800, 15],
  ['authentication.k8s.io', 'v1', 17_700, 15],
  ['authorization.k8s.io', 'v1', 17_600, 15],
  ['autoscaling', 'v1', 17_500, 15],
  ['batch', 'v1', 17_400, 15],
  ['certificates.k8s.io', 'v1', 17_300, 15],
  ['coordination.k8s.io', 'v1', 16_500, 15],
  ['discovery.k8s.io', 'v1', 16_200, 15],
  ['events.k8s.io', 'v1', 17_750, 15],
  ['flowcontrol.apiserver.k8s.io', 'v1', 16_100, 21],
  ['networking.k8s.io', 'v1', 17_200, 15],
  ['node.k8s.io', 'v1', 16_300, 15],
  ['policy', 'v1', 17_100, 15],
  ['rbac.authorization.k8s.io', 'v1', 17_000, 15],
  ['resource.k8s.io', 'v1', 16_200, 21],
  ['scheduling.k8s.io', 'v1', 16_600, 15],
  ['storage.k8s.io', 'v1', 16_800, 15],
  ['autoscaling', 'v2', 17_500, 30],
] as const;

/** Which of several groups, and of the versions of one, clients are to take first: the higher. */
export interface Priorities {
  readonly groupPriority: number;
  readonly versionPriority: number;
}

/** Of all groups that clients bring (kube-apiserver, apiServicePriority for CRDs). */
const ofCustomKinds: Priorities = { groupPriority: 1000, versionPriority: 100 };

const ofServed: ReadonlyMap<string, Priorities> = new Map<string, Priorities>([
  ['apiregistration.k8s.io/v1', { groupPriority: 20_000, versionPriority: 18 }],
  ...served.map(
    ([group, version, groupPriority, versionPriority]) =>
      [`${group}/${version}`, { groupPriority, versionPriority }] as const,
  ),
]);

/** What a group version that this server answers itself has: that of custom kinds, where it is none of Kubernetes. */
export function ownPriorities({ group, version }: GroupVersion): Priorities {
  return ofServed.get(`${group}/${version}`) ?? ofCustomKinds;
}

/** The APIServices of a new cluster. */
export function apiServices(): readonly JsonObject[] {
  return served.map(([group, version, groupPriorityMinimum, versionPriority]) => ({
    metadata: {
      name: `${version}.${group}`,
      labels: { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' },
    },
    spec: { ...(group === '' ? {} : { group }), version, groupPriorityMinimum, versionPriority },
  }));
}
