import type { KubeObject } from '#api/meta/object.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';

/** Of policies of the whole cluster. */
export const tierGroup = 'policy.networking.k8s.io';

const ref = (version: string, kind: string, resource: string): KindRef<KubeObject> => ({
  ...{ group: tierGroup, version, kind, resource },
  namespaced: false,
});

/** The kinds in the versions that are understood, of each the best first. */
export const tierKinds: readonly KindRef<KubeObject>[] = [
  ref('v1alpha1', 'AdminNetworkPolicy', 'adminnetworkpolicies'),
  ref('v1alpha1', 'BaselineAdminNetworkPolicy', 'baselineadminnetworkpolicies'),
  ref('v1beta1', 'ClusterNetworkPolicy', 'clusternetworkpolicies'),
  ref('v1alpha2', 'ClusterNetworkPolicy', 'clusternetworkpolicies'),
];
