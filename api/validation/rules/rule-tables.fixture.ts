import { daemonSet, deployment, replicaSet, statefulSet } from './apps/workloads.fixture.ts';
import {
  mutatingAdmissionPolicy,
  validatingAdmissionPolicy,
} from './admissionregistration/policies.fixture.ts';
import {
  mutatingAdmissionPolicyBinding,
  validatingAdmissionPolicyBinding,
} from './admissionregistration/policy-bindings.fixture.ts';
import {
  mutatingWebhookConfiguration,
  validatingWebhookConfiguration,
} from './admissionregistration/webhooks.fixture.ts';
import { customResourceDefinition } from './apiextensions/definition.fixture.ts';
import { apiService } from './apiregistration/api-service.fixture.ts';
import {
  localSubjectAccessReview,
  selfSubjectAccessReview,
  selfSubjectReview,
  selfSubjectRulesReview,
  subjectAccessReview,
  tokenReview,
} from './authorization/reviews.fixture.ts';
import { binding, componentStatus, coreEvent, event } from './events/events.fixture.ts';
import { certificateSigningRequest } from './certificates/signing-request.fixture.ts';
import { clusterTrustBundle } from './certificates/cluster-trust-bundle.fixture.ts';
import { podCertificateRequest } from './certificates/pod-certificate-request.fixture.ts';
import { clusterRole, clusterRoleBinding, role, roleBinding } from './rbac/roles.fixture.ts';
import { podGroup, workload } from './scheduling/groups.fixture.ts';
import { lease, leaseCandidate, priorityClass, runtimeClass } from './scheduling/classes.fixture.ts';
import { configMap, namespace, secret, serviceAccount } from './core/config.fixture.ts';
import { limitRange, resourceQuota } from './core/limits.fixture.ts';
import { node } from './core/node.fixture.ts';
import { persistentVolumeClaim } from './core/persistent-volume-claim.fixture.ts';
import { persistentVolume } from './core/persistent-volume.fixture.ts';
import { storageVersionMigration } from './storage/version-migration.fixture.ts';
import { volumeAttachment } from './storage/volume-attachment.fixture.ts';
import { controllerRevision, podTemplate, replicationController } from './core/templates.fixture.ts';
import { service } from './core/service.fixture.ts';
import { endpoints, endpointSlice } from './discovery/endpoints.fixture.ts';
import { flowSchema, priorityLevelConfiguration } from './flowcontrol/flow-control.fixture.ts';
import { ipAddress, serviceCidr } from './networking/addresses.fixture.ts';
import { ingress } from './networking/ingress.fixture.ts';
import { networkPolicy } from './networking/network-policy.fixture.ts';
import { pod } from './pod/pod.fixture.ts';
import { podDisruptionBudget } from './policy/disruption-budget.fixture.ts';
import { csiNode, csiStorageCapacity } from './storage/csi.fixture.ts';
import { horizontalPodAutoscaler } from './autoscaling/autoscaler.fixture.ts';
import { cronJob } from './batch/cron-job.fixture.ts';
import { job } from './batch/job.fixture.ts';
import { csiDriver, ingressClass, storageClass, volumeAttributesClass } from './storage/classes.fixture.ts';
import { deviceClass } from './resource/device-class.fixture.ts';
import { deviceTaintRule } from './resource/device-taint-rule.fixture.ts';
import { resourceClaim, resourceClaimTemplate } from './resource/claims.fixture.ts';
import { resourceSlice } from './resource/resource-slice.fixture.ts';
import { eviction, scale, tokenRequest } from './posted.fixture.ts';
import type { RuleTable } from './rule-table.fixture.ts';

/** The tables there are, in the order of docs/validation.md. */
export const ruleTables: readonly RuleTable[] = [
  limitRange,
  resourceQuota,
  configMap,
  secret,
  namespace,
  serviceAccount,
  service,
  endpoints,
  endpointSlice,
  ingress,
  networkPolicy,
  pod,
  podDisruptionBudget,
  deployment,
  replicaSet,
  statefulSet,
  daemonSet,
  controllerRevision,
  replicationController,
  podTemplate,
  job,
  cronJob,
  horizontalPodAutoscaler,
  priorityClass,
  lease,
  leaseCandidate,
  runtimeClass,
  role,
  clusterRole,
  roleBinding,
  clusterRoleBinding,
  storageClass,
  csiDriver,
  volumeAttributesClass,
  ingressClass,
  validatingWebhookConfiguration,
  mutatingWebhookConfiguration,
  validatingAdmissionPolicy,
  validatingAdmissionPolicyBinding,
  mutatingAdmissionPolicy,
  mutatingAdmissionPolicyBinding,
  certificateSigningRequest,
  apiService,
  flowSchema,
  priorityLevelConfiguration,
  serviceCidr,
  ipAddress,
  csiNode,
  csiStorageCapacity,
  node,
  coreEvent,
  event,
  binding,
  componentStatus,
  subjectAccessReview,
  localSubjectAccessReview,
  selfSubjectAccessReview,
  selfSubjectRulesReview,
  tokenReview,
  selfSubjectReview,
  persistentVolume,
  persistentVolumeClaim,
  volumeAttachment,
  customResourceDefinition,
  deviceClass,
  resourceClaim,
  resourceClaimTemplate,
  resourceSlice,
  tokenRequest,
  eviction,
  scale,
  clusterTrustBundle,
  podCertificateRequest,
  deviceTaintRule,
  podGroup,
  workload,
  storageVersionMigration,
];
