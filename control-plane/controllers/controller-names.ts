/** Loops by the names that kube-controller-manager gives them (cmd/kube-controller-manager/names), and which of them run. */

/** Name, then what it was called before 1.28 or is called besides. */
const known = [
  ['serviceaccount-token-controller', 'serviceaccount-token'],
  ['endpoints-controller', 'endpoint'],
  ['endpointslice-controller', 'endpointslice'],
  ['endpointslice-mirroring-controller', 'endpointslicemirroring'],
  ['replicationcontroller-controller', 'replicationcontroller'],
  ['pod-garbage-collector-controller', 'podgc'],
  ['resourcequota-controller', 'resourcequota'],
  ['namespace-controller', 'namespace'],
  ['serviceaccount-controller', 'serviceaccount'],
  ['garbage-collector-controller', 'garbagecollector'],
  ['daemonset-controller', 'daemonset'],
  ['job-controller', 'job'],
  ['deployment-controller', 'deployment'],
  ['replicaset-controller', 'replicaset'],
  ['horizontal-pod-autoscaler-controller', 'horizontalpodautoscaling'],
  ['disruption-controller', 'disruption'],
  ['statefulset-controller', 'statefulset'],
  ['cronjob-controller', 'cronjob'],
  ['certificatesigningrequest-signing-controller', 'csrsigning'],
  ['certificatesigningrequest-approving-controller', 'csrapproving'],
  ['certificatesigningrequest-cleaner-controller', 'csrcleaner'],
  ['ttl-controller', 'ttl'],
  ['bootstrap-signer-controller', 'bootstrapsigner'],
  ['token-cleaner-controller', 'tokencleaner'],
  ['node-ipam-controller', 'nodeipam'],
  ['node-lifecycle-controller', 'nodelifecycle'],
  ['taint-eviction-controller'],
  ['service-lb-controller', 'service'],
  ['persistentvolume-binder-controller', 'persistentvolume-binder'],
  ['persistentvolume-attach-detach-controller', 'attachdetach'],
  ['persistentvolume-expander-controller', 'persistentvolume-expander'],
  ['clusterrole-aggregation-controller', 'clusterrole-aggregation'],
  ['persistentvolumeclaim-protection-controller', 'pvc-protection'],
  ['persistentvolume-protection-controller', 'pv-protection'],
  ['volumeattributesclass-protection-controller'],
  ['ttl-after-finished-controller', 'ttl-after-finished'],
  ['root-ca-certificate-publisher-controller', 'root-ca-cert-publisher'],
  ['ephemeral-volume-controller', 'ephemeral-volume'],
  ['resourceclaim-controller', 'resource-claim-controller'],
  ['device-taint-eviction-controller'],
  ['legacy-serviceaccount-token-cleaner-controller', 'legacy-service-account-token-cleaner'],
  ['validatingadmissionpolicy-status-controller'],
  ['service-cidr-controller'],
  ['podgroup-protection-controller'],
  ['storage-version-migrator-controller'],
  ['cluster-policy-status-controller'],
] as const;

/** Of Kubernetes, and not here: to switch one off is no mistake, to ask for it is. */
const absent: readonly (readonly string[])[] = [
  ['node-route-controller', 'route'],
  ['cloud-node-controller', 'cloud-node'],
  ['cloud-node-lifecycle-controller', 'cloud-node-lifecycle'],
  ['kube-apiserver-serving-clustertrustbundle-publisher-controller'],
  ['storageversion-garbage-collector-controller', 'storage-version-gc'],
  ['selinux-warning-controller'],
];

export type ControllerName = (typeof known)[number][0];

/** All that there are, in the order in which they are told. */
export const controllerNames: readonly ControllerName[] = known.map(([name]) => name);

/** Whether a loop runs. */
export type IsOn = (name: ControllerName) => boolean;

/**
 * Of a list like `*,-job`: `*` is all that are not named, `NAME` one, `-NAME` all but one. What is named first counts, as in
 * kube-controller-manager (IsControllerEnabled). Pure.
 */
export function chooseControllers(list: readonly string[] = ['*']): IsOn {
  return (name) => {
    for (const one of list) {
      if (nameOf(one) === name) return true;
      if (one.startsWith('-') && nameOf(one.slice(1)) === name) return false;
    }
    return list.includes('*');
  };
}

/** What is wrong with such a list. Pure. */
export function controllerListProblems(list: readonly string[]): readonly string[] {
  const problems = list.flatMap((one) => {
    const text = one.replace(/^-/, '');
    if (one === '*' || nameOf(text) !== undefined) return [];
    if (!absent.some((names) => names.includes(text)))
      return [
        `${JSON.stringify(one)} is not in the list of known controllers: ${controllerNames.join(', ')}`,
      ];
    return one.startsWith('-') ? [] : [`podwright has no ${text}`];
  });
  if (problems.length > 0) return problems;
  const isOn = chooseControllers(list);
  return isOn('persistentvolume-expander-controller') && !isOn('persistentvolume-binder-controller')
    ? [
        'persistentvolume-expander-controller works as a part of persistentvolume-binder-controller: switch off both, or neither',
      ]
    : [];
}

/** By its name or the other one. */
function nameOf(text: string): ControllerName | undefined {
  return known.find((names: readonly string[]) => names.includes(text))?.[0];
}
