import { at, listOf, objectOf, stringOf, type Draft } from '#api/json.ts';
import type { DefaultRule } from './rule.ts';

/** Defaults of the kinds that hold no pods, by `group/Kind` (kube-apiserver 1.36.2; see fixtures/defaults-observed). */
export const kindRules: Readonly<Record<string, readonly DefaultRule[]>> = {
  '/Service': [
    ['spec.sessionAffinity', 'None'],
    ['spec.type', 'ClusterIP'],
    ['spec.sessionAffinityConfig', (spec) => (spec['sessionAffinity'] === 'ClientIP' ? {} : undefined)],
    [
      'spec.sessionAffinityConfig.clientIP',
      (_config, root) => (affinityOf(root) === 'ClientIP' ? {} : undefined),
    ],
    ['spec.sessionAffinityConfig.clientIP.timeoutSeconds', 10_800],
    ['spec.ports[].protocol', 'TCP'],
    ['spec.ports[].targetPort', (port) => port['port'], 'zero'],
    ['spec.internalTrafficPolicy', (spec) => (spec['type'] === 'ExternalName' ? undefined : 'Cluster')],
    ['spec.externalTrafficPolicy', (spec) => (isExternallyReachable(spec) ? 'Cluster' : undefined)],
    ['status.loadBalancer.ingress[].ipMode', (item) => (stringOf(item['ip']) === '' ? undefined : 'VIP')],
    ['spec.allocateLoadBalancerNodePorts', (spec) => (spec['type'] === 'LoadBalancer' ? true : undefined)],
  ],
  '/Secret': [['type', 'Opaque']],
  '/Node': [
    ['status.allocatable', (status) => status['capacity']],
    ['spec.podCIDRs', (spec) => (stringOf(spec['podCIDR']) === '' ? undefined : [spec['podCIDR']])],
  ],
  '/PersistentVolume': [
    ['status', {}],
    ['status.phase', 'Pending'],
    ['spec.persistentVolumeReclaimPolicy', 'Retain'],
    ['spec.volumeMode', 'Filesystem'],
    ['spec.hostPath.type', () => ''],
    ['spec.iscsi.iscsiInterface', 'default'],
    ['spec.rbd.pool', 'rbd'],
    ['spec.rbd.user', 'admin'],
    ['spec.rbd.keyring', '/etc/ceph/keyring'],
  ],
  '/PersistentVolumeClaim': [
    ['status', {}],
    ['status.phase', 'Pending'],
    ['spec.volumeMode', 'Filesystem'],
  ],
  '/Endpoints': [['subsets[].ports[].protocol', 'TCP']],
  'discovery.k8s.io/EndpointSlice': [
    ['ports[].name', () => ''],
    ['ports[].protocol', 'TCP'],
  ],
  'networking.k8s.io/NetworkPolicy': [
    ['spec.ingress[].ports[].protocol', 'TCP'],
    ['spec.egress[].ports[].protocol', 'TCP'],
    ['spec.policyTypes', (spec) => (listOf(spec['egress']).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'])],
  ],
  'networking.k8s.io/IngressClass': [['spec.parameters.scope', 'Cluster']],
  'rbac.authorization.k8s.io/RoleBinding': bindingRules(),
  'rbac.authorization.k8s.io/ClusterRoleBinding': bindingRules(),
  'storage.k8s.io/StorageClass': [
    ['reclaimPolicy', 'Delete'],
    ['volumeBindingMode', 'Immediate'],
  ],
  'storage.k8s.io/CSIDriver': [
    ['spec.attachRequired', true],
    ['spec.podInfoOnMount', false],
    ['spec.volumeLifecycleModes', ['Persistent']],
    ['spec.storageCapacity', false],
    ['spec.fsGroupPolicy', 'ReadWriteOnceWithFSType'],
    ['spec.requiresRepublish', false],
    ['spec.seLinuxMount', false],
  ],
  'scheduling.k8s.io/PriorityClass': [['preemptionPolicy', 'PreemptLowerPriority']],
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': webhookRules(),
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': [
    ...webhookRules(),
    ['webhooks[].reinvocationPolicy', 'Never'],
  ],
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': policyRules('spec.matchConstraints'),
  'admissionregistration.k8s.io/MutatingAdmissionPolicy': [
    ...policyRules('spec.matchConstraints'),
    ['spec.reinvocationPolicy', 'Never'],
  ],
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding': matchRules('spec.matchResources'),
  'admissionregistration.k8s.io/MutatingAdmissionPolicyBinding': matchRules('spec.matchResources'),
  'apiextensions.k8s.io/CustomResourceDefinition': [
    ['spec.names.singular', (names) => stringOf(names['kind']).toLowerCase()],
    ['spec.names.listKind', (names) => `${stringOf(names['kind'])}List`],
    ['spec.conversion', {}],
    ['spec.conversion.strategy', 'None'],
    ['spec.conversion.webhook.clientConfig.service.port', 443],
  ],
  'apiregistration.k8s.io/APIService': [['spec.service.port', 443]],
  'flowcontrol.apiserver.k8s.io/FlowSchema': [['spec.matchingPrecedence', 1000, 'zero']],
  'flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration': [
    ['spec.limited.nominalConcurrencyShares', 30],
    ['spec.limited.lendablePercent', 0],
    ['spec.limited.limitResponse.queuing.queues', 64, 'zero'],
    ['spec.limited.limitResponse.queuing.handSize', 8, 'zero'],
    ['spec.limited.limitResponse.queuing.queueLengthLimit', 50, 'zero'],
    ['spec.exempt.nominalConcurrencyShares', 0],
    ['spec.exempt.lendablePercent', 0],
  ],
  'resource.k8s.io/ResourceClaim': claimRules('spec'),
  'resource.k8s.io/ResourceClaimTemplate': claimRules('spec.spec'),
};

/** LimitRange: default follows max, defaultRequest follows default and then min, for containers only. */
export function defaultLimits(limit: Draft): void {
  if (limit['type'] !== 'Container') return;
  const given = (field: string): Draft => ({ ...objectOf(limit[field]) });
  const limits = { ...given('max'), ...given('default') };
  const requests = { ...given('min'), ...limits, ...given('defaultRequest') };
  if (Object.keys(limits).length > 0) limit['default'] = limits;
  if (Object.keys(requests).length > 0) limit['defaultRequest'] = requests;
}

function affinityOf(service: Draft): unknown {
  return at(service, 'spec.sessionAffinity');
}

function isExternallyReachable(spec: Draft): boolean {
  const { type } = spec;
  if (type === 'NodePort' || type === 'LoadBalancer') return true;
  return type === 'ClusterIP' && listOf(spec['externalIPs']).length > 0;
}

function bindingRules(): readonly DefaultRule[] {
  return [
    ['roleRef.apiGroup', 'rbac.authorization.k8s.io'],
    [
      'subjects[].apiGroup',
      ({ kind }) => (kind === 'User' || kind === 'Group' ? 'rbac.authorization.k8s.io' : undefined),
    ],
  ];
}

function webhookRules(): readonly DefaultRule[] {
  return [
    ['webhooks[].failurePolicy', 'Fail'],
    ['webhooks[].timeoutSeconds', 10],
    ['webhooks[].clientConfig.service.port', 443],
    ...matchRulesOf('webhooks[]', 'rules'),
  ];
}

function policyRules(match: string): readonly DefaultRule[] {
  return [['spec.failurePolicy', 'Fail'], ...matchRules(match)];
}

function matchRules(match: string): readonly DefaultRule[] {
  return matchRulesOf(match, 'resourceRules');
}

function matchRulesOf(holder: string, rules: string): readonly DefaultRule[] {
  return [
    [`${holder}.matchPolicy`, 'Equivalent'],
    [`${holder}.namespaceSelector`, {}],
    [`${holder}.objectSelector`, {}],
    [`${holder}.${rules}[].scope`, '*'],
  ];
}

function claimRules(spec: string): readonly DefaultRule[] {
  const requests = `${spec}.devices.requests[]`;
  return [`${requests}.exactly`, `${requests}.firstAvailable[]`].flatMap(
    (request): readonly DefaultRule[] => [
      [`${request}.allocationMode`, 'ExactCount'],
      [`${request}.count`, (holder) => (holder['allocationMode'] === 'ExactCount' ? 1 : undefined), 'zero'],
    ],
  );
}
