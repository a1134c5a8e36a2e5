import type { Kind } from '#api/schema/kinds.ts';
import {
  mutatingBindingRules,
  validatingBindingRules,
} from './admissionregistration/admission-policy-binding.ts';
import { mutatingPolicyRules, validatingPolicyRules } from './admissionregistration/admission-policy.ts';
import {
  mutatingWebhookRules,
  validatingWebhookRules,
} from './admissionregistration/webhook-configuration.ts';
import { answeredRules, tokenReviewRules } from './answered.ts';
import { customResourceDefinitionRules } from './apiextensions/custom-resource-definition.ts';
import { apiServiceRules } from './apiregistration/api-service.ts';
import { controllerRevisionRules } from './apps/controller-revision.ts';
import { daemonSetRules } from './apps/daemon-set.ts';
import { deploymentRules } from './apps/deployment.ts';
import { replicaSetRules } from './apps/replica-set.ts';
import { statefulSetRules } from './apps/stateful-set.ts';
import { tokenRequestRules } from './authentication/token-request.ts';
import {
  localSubjectAccessReviewRules,
  selfSubjectAccessReviewRules,
  subjectAccessReviewRules,
} from './authorization/access-review.ts';
import { horizontalPodAutoscalerRules } from './autoscaling/horizontal-pod-autoscaler.ts';
import { scaleRules } from './autoscaling/scale.ts';
import { cronJobRules } from './batch/cron-job.ts';
import { jobRules } from './batch/job.ts';
import { certificateSigningRequestRules } from './certificates/certificate-signing-request.ts';
import { clusterTrustBundleRules } from './certificates/cluster-trust-bundle.ts';
import { podCertificateRequestRules } from './certificates/pod-certificate-request.ts';
import { leaseCandidateRules } from './coordination/lease-candidate.ts';
import { leaseRules } from './coordination/lease.ts';
import { bindingRules } from './core/binding.ts';
import { componentStatusRules } from './core/component-status.ts';
import { configMapRules } from './core/config-map.ts';
import { endpointsRules } from './core/endpoints.ts';
import { eventRules } from './core/event.ts';
import { limitRangeRules } from './core/limit-range.ts';
import { namespaceRules } from './core/namespace.ts';
import { nodeRules } from './core/node.ts';
import { persistentVolumeClaimRules } from './core/persistent-volume-claim.ts';
import { persistentVolumeRules } from './core/persistent-volume.ts';
import { podTemplateRules } from './core/pod-template.ts';
import { podRules } from './core/pod.ts';
import { replicationControllerRules } from './core/replication-controller.ts';
import { resourceQuotaRules } from './core/resource-quota.ts';
import { secretRules } from './core/secret.ts';
import { serviceAccountRules } from './core/service-account.ts';
import { serviceRules } from './core/service.ts';
import { endpointSliceRules } from './discovery/endpoint-slice.ts';
import { eventV1Rules } from './events/event.ts';
import { flowSchemaRules } from './flowcontrol/flow-schema.ts';
import { priorityLevelConfigurationRules } from './flowcontrol/priority-level-configuration.ts';
import { ingressClassRules } from './networking/ingress-class.ts';
import { ingressRules } from './networking/ingress.ts';
import { ipAddressRules } from './networking/ip-address.ts';
import { networkPolicyRules } from './networking/network-policy.ts';
import { serviceCidrRules } from './networking/service-cidr.ts';
import { runtimeClassRules } from './node/runtime-class.ts';
import { podDisruptionBudgetRules } from './policy/pod-disruption-budget.ts';
import { clusterRoleBindingRules, roleBindingRules } from './rbac/role-binding.ts';
import { clusterRoleRules, roleRules } from './rbac/role.ts';
import { deviceClassRules } from './resource/device-class.ts';
import { deviceTaintRuleRules } from './resource/device-taint-rule.ts';
import { resourceClaimRules, resourceClaimTemplateRules } from './resource/resource-claim.ts';
import { resourceSliceRules } from './resource/resource-slice.ts';
import { podGroupRules } from './scheduling/pod-group.ts';
import { priorityClassRules } from './scheduling/priority-class.ts';
import { workloadRules } from './scheduling/workload.ts';
import { storageVersionMigrationRules } from './storagemigration/storage-version-migration.ts';
import { csiDriverRules } from './storage/csi-driver.ts';
import { csiNodeRules } from './storage/csi-node.ts';
import { csiStorageCapacityRules } from './storage/csi-storage-capacity.ts';
import { storageClassRules } from './storage/storage-class.ts';
import { volumeAttachmentRules } from './storage/volume-attachment.ts';
import { volumeAttributesClassRules } from './storage/volume-attributes-class.ts';
import type { KindRules } from './rules.ts';

/** The kinds that something is particular about, by group ('' is core) and name. Their rules hold in all versions of the group. */
export const particularKinds: ReadonlyMap<string, KindRules> = new Map([
  ['/Binding', bindingRules],
  ['/ComponentStatus', componentStatusRules],
  ['/ConfigMap', configMapRules],
  ['/Endpoints', endpointsRules],
  ['/Event', eventRules],
  ['/LimitRange', limitRangeRules],
  ['/Namespace', namespaceRules],
  ['/Node', nodeRules],
  ['/PersistentVolume', persistentVolumeRules],
  ['/PersistentVolumeClaim', persistentVolumeClaimRules],
  ['/Pod', podRules],
  ['/PodTemplate', podTemplateRules],
  ['/ReplicationController', replicationControllerRules],
  ['/ResourceQuota', resourceQuotaRules],
  ['/Secret', secretRules],
  ['/Service', serviceRules],
  ['/ServiceAccount', serviceAccountRules],
  ['admissionregistration.k8s.io/MutatingAdmissionPolicy', mutatingPolicyRules],
  ['admissionregistration.k8s.io/MutatingAdmissionPolicyBinding', mutatingBindingRules],
  ['admissionregistration.k8s.io/MutatingWebhookConfiguration', mutatingWebhookRules],
  ['admissionregistration.k8s.io/ValidatingAdmissionPolicy', validatingPolicyRules],
  ['admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding', validatingBindingRules],
  ['admissionregistration.k8s.io/ValidatingWebhookConfiguration', validatingWebhookRules],
  ['apiextensions.k8s.io/CustomResourceDefinition', customResourceDefinitionRules],
  ['apiregistration.k8s.io/APIService', apiServiceRules],
  ['apps/ControllerRevision', controllerRevisionRules],
  ['apps/DaemonSet', daemonSetRules],
  ['apps/Deployment', deploymentRules],
  ['apps/ReplicaSet', replicaSetRules],
  ['apps/StatefulSet', statefulSetRules],
  ['authentication.k8s.io/SelfSubjectReview', answeredRules],
  ['authentication.k8s.io/TokenRequest', tokenRequestRules],
  ['authentication.k8s.io/TokenReview', tokenReviewRules],
  ['authorization.k8s.io/LocalSubjectAccessReview', localSubjectAccessReviewRules],
  ['authorization.k8s.io/SelfSubjectAccessReview', selfSubjectAccessReviewRules],
  ['authorization.k8s.io/SelfSubjectRulesReview', answeredRules],
  ['authorization.k8s.io/SubjectAccessReview', subjectAccessReviewRules],
  ['autoscaling/HorizontalPodAutoscaler', horizontalPodAutoscalerRules],
  ['autoscaling/Scale', scaleRules],
  ['batch/CronJob', cronJobRules],
  ['batch/Job', jobRules],
  ['certificates.k8s.io/CertificateSigningRequest', certificateSigningRequestRules],
  ['certificates.k8s.io/ClusterTrustBundle', clusterTrustBundleRules],
  ['certificates.k8s.io/PodCertificateRequest', podCertificateRequestRules],
  ['coordination.k8s.io/Lease', leaseRules],
  ['coordination.k8s.io/LeaseCandidate', leaseCandidateRules],
  ['discovery.k8s.io/EndpointSlice', endpointSliceRules],
  ['events.k8s.io/Event', eventV1Rules],
  ['flowcontrol.apiserver.k8s.io/FlowSchema', flowSchemaRules],
  ['flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration', priorityLevelConfigurationRules],
  ['networking.k8s.io/IPAddress', ipAddressRules],
  ['networking.k8s.io/Ingress', ingressRules],
  ['networking.k8s.io/IngressClass', ingressClassRules],
  ['networking.k8s.io/NetworkPolicy', networkPolicyRules],
  ['networking.k8s.io/ServiceCIDR', serviceCidrRules],
  ['node.k8s.io/RuntimeClass', runtimeClassRules],
  ['policy/PodDisruptionBudget', podDisruptionBudgetRules],
  ['rbac.authorization.k8s.io/ClusterRole', clusterRoleRules],
  ['rbac.authorization.k8s.io/ClusterRoleBinding', clusterRoleBindingRules],
  ['rbac.authorization.k8s.io/Role', roleRules],
  ['rbac.authorization.k8s.io/RoleBinding', roleBindingRules],
  ['resource.k8s.io/DeviceClass', deviceClassRules],
  ['resource.k8s.io/DeviceTaintRule', deviceTaintRuleRules],
  ['resource.k8s.io/ResourceClaim', resourceClaimRules],
  ['resource.k8s.io/ResourceClaimTemplate', resourceClaimTemplateRules],
  ['resource.k8s.io/ResourceSlice', resourceSliceRules],
  ['scheduling.k8s.io/PodGroup', podGroupRules],
  ['scheduling.k8s.io/PriorityClass', priorityClassRules],
  ['scheduling.k8s.io/Workload', workloadRules],
  ['storage.k8s.io/CSIDriver', csiDriverRules],
  ['storage.k8s.io/CSINode', csiNodeRules],
  ['storage.k8s.io/CSIStorageCapacity', csiStorageCapacityRules],
  ['storage.k8s.io/StorageClass', storageClassRules],
  ['storage.k8s.io/VolumeAttachment', volumeAttachmentRules],
  ['storage.k8s.io/VolumeAttributesClass', volumeAttributesClassRules],
  ['storagemigration.k8s.io/StorageVersionMigration', storageVersionMigrationRules],
]);

/** The kinds that nothing is particular about: some of Kubernetes, and all that clients bring. */
const generic: KindRules = {};

/**
 * What is particular about a kind: of a custom one what its definition says. By group and name, so that a custom kind meets nothing of a
 * built-in one that is called the same.
 */
export function rulesOf(kind: Pick<Kind, 'group' | 'kind' | 'custom'>): KindRules {
  if (kind.custom !== undefined) return kind.custom.rules;
  let rules = rulesOfKinds.get(kind);
  if (rules === undefined) {
    rules = particularKinds.get(kindKey(kind)) ?? generic;
    rulesOfKinds.set(kind, rules);
  }
  return rules;
}

/** Found once for a kind: a write asks some dozens of times. */
const rulesOfKinds = new WeakMap<object, KindRules>();

/** Whether both are the same kind, whatever their versions. */
export function isSameKind(a: Pick<Kind, 'group' | 'kind'>, b: Pick<Kind, 'group' | 'kind'>): boolean {
  return a.kind === b.kind && a.group === b.group;
}

/** `apps/Deployment`, `/Pod`: what tables of kinds are keyed by. */
export function kindKey({ group, kind }: Pick<Kind, 'group' | 'kind'>): string {
  return `${group}/${kind}`;
}
