import type { AdmissionPlugin } from './admission.ts';
import { alwaysAdmit, alwaysDeny } from './always.ts';
import { certificateApproval } from './certificates/certificate-approval.ts';
import { certificateSigning } from './certificates/certificate-signing.ts';
import { certificateSubjectRestriction } from './certificates/certificate-subject-restriction.ts';
import { clusterTrustBundleAttest } from './certificates/cluster-trust-bundle-attest.ts';
import { wrong } from './configuration.ts';
import { denyServiceExternalIPs } from './deny-service-external-ips.ts';
import { eventRateLimit } from './events/event-rate-limit.ts';
import { parseRateLimits } from './events/rate-limits.ts';
import { namespaceAutoProvision } from './namespaces/namespace-auto-provision.ts';
import { namespaceExists } from './namespaces/namespace-exists.ts';
import { ownerReferencesPermissionEnforcement } from './owner-references-permission-enforcement.ts';
import { alwaysPullImages } from './pods/always-pull-images.ts';
import { imagePolicyRow } from './pods/images/image-policy-webhook.ts';
import { extendedResourceToleration } from './pods/extended-resource-toleration.ts';
import { limitPodHardAntiAffinityTopology } from './pods/limit-pod-hard-anti-affinity-topology.ts';
import { parseNodeSelectors, podNodeSelector } from './pods/pod-node-selector.ts';
import { parseTolerationDefaults, podTolerationRestriction } from './pods/pod-toleration-restriction.ts';
import { nodeDeclaredFeatureValidator } from './pods/node-declared-features.ts';
import { podTopologyLabels } from './pods/pod-topology-labels.ts';
import { runtimeClass } from './pods/runtime-class.ts';
import { mutatingAdmissionPolicy } from './policies/mutating-admission-policy.ts';
import { validatingAdmissionPolicy } from './policies/validating-admission-policy.ts';
import { mutatingKinds, validatingKinds } from './policies/policy-book.ts';
import { reservedNames } from './reserved-names.ts';
import { withManifests, withPolicyManifests } from './manifests/with-manifests.ts';
import { mutatingConfigurations, validatingConfigurations } from './webhooks/hook-book.ts';
import { refusedDeletion } from './refused-deletion.ts';
import { persistentVolumeClaimResize } from './storage/persistent-volume-claim-resize.ts';
import { choosePlugins } from './choice/choose-plugins.ts';
import { notBuilt, off, on, type PluginRow } from './choice/plugin-row.ts';
import { defaultIngressClass } from './default-ingress-class.ts';
import { defaultStorageClass } from './storage/default-storage-class.ts';
import { defaultTolerationSeconds } from './pods/default-toleration-seconds.ts';
import { limitRanger } from './pods/limit-ranger.ts';
import { podGroupWorkloadExists } from './groups/pod-group-workload-exists.ts';
import { schedulingGroup } from './groups/scheduling-group.ts';
import { namespaceLifecycle } from './namespaces/namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import { podSecurityRow } from './pod-security/pod-security.ts';
import { priority } from './pods/priority.ts';
import { rbacEscalation } from './rbac-escalation.ts';
import { parseLimitedResources } from './quota/limited-resources.ts';
import { resourceQuota } from './quota/resource-quota.ts';
import { serviceAccount } from './pods/service-account.ts';
import { storageObjectInUseProtection } from './storage/storage-object-in-use-protection.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.ts';
import { mutatingWebhook } from './webhooks/mutating-webhook.ts';
import { readIdentities } from './webhooks/read-identities.ts';
import { validatingWebhook } from './webhooks/validating-webhook.ts';

/**
 * All plugins, in the order of kube-apiserver 1.36 (pkg/kubeapiserver/options, AllOrderedPlugins): what is refused for several reasons is
 * refused for the first. Webhooks and ResourceQuota are last, to judge what the others left. On by default are those that are there, and
 * NodeRestriction, which whoever sets up a cluster switches on (decision 0022).
 */
export const pluginRows: readonly PluginRow[] = [
  off(alwaysAdmit),
  off(namespaceAutoProvision),
  on(namespaceLifecycle),
  off(namespaceExists),
  off(limitPodHardAntiAffinityTopology),
  on(limitRanger),
  on(serviceAccount),
  on(nodeRestriction),
  on(taintNodesByCondition),
  off(alwaysPullImages),
  imagePolicyRow,
  podSecurityRow,
  {
    ...off(podNodeSelector()),
    configure: ({ value }) => podNodeSelector(parseNodeSelectors(value)),
  },
  on(priority),
  on(defaultTolerationSeconds),
  {
    ...off(podTolerationRestriction()),
    configure: ({ value }) => podTolerationRestriction(parseTolerationDefaults(value)),
  },
  {
    name: 'EventRateLimit',
    onByDefault: false,
    create: () => {
      throw wrong('limits', 'must not be empty: name a file by --admission-control-config-file');
    },
    configure: ({ value }) => eventRateLimit(parseRateLimits(value)),
  },
  off(extendedResourceToleration),
  on(defaultStorageClass),
  on(storageObjectInUseProtection),
  off(ownerReferencesPermissionEnforcement),
  on(persistentVolumeClaimResize),
  on(runtimeClass),
  on(certificateApproval),
  on(certificateSigning),
  on(clusterTrustBundleAttest),
  on(certificateSubjectRestriction),
  on(defaultIngressClass),
  off(denyServiceExternalIPs),
  on(podTopologyLabels),
  on(podGroupWorkloadExists),
  on(nodeDeclaredFeatureValidator),
  notBuilt('JobValidation', 'on'),
  notBuilt('PodResizeValidator', 'on'),
  {
    ...on(mutatingAdmissionPolicy),
    configure: (configuration) =>
      withPolicyManifests(mutatingAdmissionPolicy, Object.values(mutatingKinds), configuration),
  },
  {
    ...on(mutatingWebhook()),
    configure: (configuration) =>
      withManifests(mutatingWebhook(readIdentities(configuration)), [mutatingConfigurations], configuration),
  },
  {
    ...on(validatingAdmissionPolicy),
    configure: (configuration) =>
      withPolicyManifests(validatingAdmissionPolicy, Object.values(validatingKinds), configuration),
  },
  {
    ...on(validatingWebhook()),
    configure: (configuration) =>
      withManifests(
        validatingWebhook(readIdentities(configuration)),
        [validatingConfigurations],
        configuration,
      ),
  },
  {
    ...on(resourceQuota()),
    configure: ({ value }) => resourceQuota(parseLimitedResources(value)),
  },
  off(alwaysDeny),
];

/** With what Kubernetes has in the storage of a kind, where no option leaves it out. */
export function withFixedPlugins(chosen: readonly AdmissionPlugin[]): readonly AdmissionPlugin[] {
  const hasManifests = chosen.some(({ manifests }) => manifests !== undefined);
  return [rbacEscalation, refusedDeletion, reservedNames(hasManifests), schedulingGroup, ...chosen];
}

/** Those that are on unless told otherwise. */
export const defaultPlugins = (): readonly AdmissionPlugin[] => choosePlugins(pluginRows);
