import { formatAge } from '#api/age.ts';
import { at, listOf, objectOf, objectsOf, stringMapOf, stringOf } from '#api/json.ts';
import type { JsonObject } from '#api/object.ts';
import { formatLabelSelector, labelSelectorFromObject } from '#api/selector.ts';
import { loadBalancerText } from './core.ts';
import { age, firstThree, joined, none, unset } from './text.ts';

type Cells = (object: JsonObject, now: number) => readonly unknown[];

/** Cells of the kinds that are little more than their columns, by `group/Kind`. */
export const clusterCells: Readonly<Record<string, Cells>> = {
  '/ComponentStatus': componentStatusCells,
  'networking.k8s.io/Ingress': (ingress, now) => [
    nameOf(ingress),
    text(ingress, 'spec.ingressClassName', none),
    ingressHosts(ingress),
    loadBalancerText(objectsOf(at(ingress, 'status.loadBalancer.ingress')).map(stringMapOf)),
    listOf(at(ingress, 'spec.tls')).length > 0 ? '80, 443' : '80',
    ageOfObject(ingress, now),
  ],
  'networking.k8s.io/IngressClass': (ingressClass, now) => [
    nameOf(ingressClass),
    text(ingressClass, 'spec.controller', ''),
    parameters(objectOf(at(ingressClass, 'spec.parameters'))),
    ageOfObject(ingressClass, now),
  ],
  'networking.k8s.io/NetworkPolicy': (policy, now) => [
    nameOf(policy),
    formatLabelSelector(labelSelectorFromObject(objectOf(at(policy, 'spec.podSelector')))) || none,
    ageOfObject(policy, now),
  ],
  'networking.k8s.io/IPAddress': (address) => {
    const parent = objectOf(at(address, 'spec.parentRef'));
    const { group, resource, namespace, name } = stringMapOf(parent);
    const qualified = group === undefined || group === '' ? resource : `${resource}.${group}`;
    return [nameOf(address), [qualified, namespace, name].filter(Boolean).join('/')];
  },
  'networking.k8s.io/ServiceCIDR': (cidr, now) => [
    nameOf(cidr),
    listOf(at(cidr, 'spec.cidrs')).join(','),
    ageOfObject(cidr, now),
  ],
  'rbac.authorization.k8s.io/RoleBinding': bindingCells,
  'rbac.authorization.k8s.io/ClusterRoleBinding': bindingCells,
  'storage.k8s.io/StorageClass': (storageClass, now) => [
    at(storageClass, ['metadata', 'annotations', 'storageclass.kubernetes.io/is-default-class']) === 'true'
      ? `${nameOf(storageClass)} (default)`
      : nameOf(storageClass),
    text(storageClass, 'provisioner', ''),
    text(storageClass, 'reclaimPolicy', 'Delete'),
    text(storageClass, 'volumeBindingMode', 'Immediate'),
    storageClass['allowVolumeExpansion'] === true,
    ageOfObject(storageClass, now),
  ],
  'storage.k8s.io/CSIDriver': (driver, now) => {
    const spec = objectOf(driver['spec']);
    const audiences = objectsOf(spec['tokenRequests']).map(({ audience }) => stringOf(audience));
    return [
      nameOf(driver),
      spec['attachRequired'] !== false,
      spec['podInfoOnMount'] === true,
      spec['storageCapacity'] === true,
      audiences.length === 0 ? unset : audiences.join(','),
      spec['requiresRepublish'] === true,
      listOf(spec['volumeLifecycleModes']).join(','),
      ageOfObject(driver, now),
    ];
  },
  'storage.k8s.io/CSINode': (node, now) => [
    nameOf(node),
    listOf(at(node, 'spec.drivers')).length,
    ageOfObject(node, now),
  ],
  'storage.k8s.io/VolumeAttachment': (attachment, now) => [
    nameOf(attachment),
    text(attachment, 'spec.attacher', ''),
    text(attachment, 'spec.source.persistentVolumeName', ''),
    text(attachment, 'spec.nodeName', ''),
    at(attachment, 'status.attached') === true,
    ageOfObject(attachment, now),
  ],
  'storage.k8s.io/VolumeAttributesClass': (attributes, now) => [
    nameOf(attributes),
    text(attributes, 'driverName', ''),
    ageOfObject(attributes, now),
  ],
  'scheduling.k8s.io/PriorityClass': (priority, now) => [
    nameOf(priority),
    priority['value'] ?? 0,
    priority['globalDefault'] === true,
    ageOfObject(priority, now),
    text(priority, 'preemptionPolicy', ''),
  ],
  'coordination.k8s.io/Lease': (lease, now) => [
    nameOf(lease),
    text(lease, 'spec.holderIdentity', ''),
    ageOfObject(lease, now),
  ],
  'node.k8s.io/RuntimeClass': (runtime, now) => [
    nameOf(runtime),
    text(runtime, 'handler', ''),
    ageOfObject(runtime, now),
  ],
  'certificates.k8s.io/CertificateSigningRequest': (request, now) => {
    const seconds = at(request, 'spec.expirationSeconds');
    return [
      nameOf(request),
      ageOfObject(request, now),
      text(request, 'spec.signerName', none),
      text(request, 'spec.username', ''),
      typeof seconds === 'number' ? formatAge(seconds * 1000) : none,
      certificateState(request),
    ];
  },
  'apiregistration.k8s.io/APIService': (service, now) => [
    nameOf(service),
    at(service, 'spec.service') === undefined
      ? 'Local'
      : `${text(service, 'spec.service.namespace', '')}/${text(service, 'spec.service.name', '')}`,
    availability(service),
    ageOfObject(service, now),
  ],
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': webhookCells,
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': webhookCells,
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': (policy, now) =>
    policyCells(policy, 'validations', now),
  'admissionregistration.k8s.io/MutatingAdmissionPolicy': (policy, now) =>
    policyCells(policy, 'mutations', now),
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding': policyBindingCells,
  'admissionregistration.k8s.io/MutatingAdmissionPolicyBinding': policyBindingCells,
  'resource.k8s.io/ResourceClaim': (claim, now) => [
    nameOf(claim),
    claimState(claim),
    ageOfObject(claim, now),
  ],
  'resource.k8s.io/ResourceSlice': (slice, now) => [
    nameOf(slice),
    text(slice, 'spec.nodeName', at(slice, 'spec.allNodes') === true ? '<all>' : ''),
    text(slice, 'spec.driver', ''),
    text(slice, 'spec.pool.name', ''),
    ageOfObject(slice, now),
  ],
  'flowcontrol.apiserver.k8s.io/FlowSchema': (schema, now) => {
    const dangling = objectsOf(at(schema, 'status.conditions')).find(({ type }) => type === 'Dangling');
    return [
      nameOf(schema),
      text(schema, 'spec.priorityLevelConfiguration.name', none),
      at(schema, 'spec.matchingPrecedence') ?? 0,
      text(schema, 'spec.distinguisherMethod.type', none),
      ageOfObject(schema, now),
      dangling === undefined ? '?' : stringOf(dangling['status']),
    ];
  },
  'flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration': (level, now) => {
    const queuing = 'spec.limited.limitResponse.queuing';
    const shares =
      at(level, 'spec.limited.nominalConcurrencyShares') ?? at(level, 'spec.exempt.nominalConcurrencyShares');
    return [
      nameOf(level),
      text(level, 'spec.type', ''),
      at(level, 'spec.type') === 'Limited' ? (shares ?? 0) : none,
      at(level, `${queuing}.queues`) ?? none,
      at(level, `${queuing}.handSize`) ?? none,
      at(level, `${queuing}.queueLengthLimit`) ?? none,
      ageOfObject(level, now),
    ];
  },
};

/** metadata.name, or ''. */
export function nameOf(object: JsonObject): string {
  return stringOf(at(object, 'metadata.name'));
}

/** The age by creationTimestamp. */
export function ageOfObject(object: JsonObject, now: number): string {
  return age(stringOf(at(object, 'metadata.creationTimestamp')), now);
}

function text(object: JsonObject, path: string, otherwise: string): string {
  const value = at(object, path);
  return value === undefined || value === null || value === '' ? otherwise : String(value);
}

function componentStatusCells(component: JsonObject): readonly unknown[] {
  const condition = objectsOf(component['conditions']).find(({ type }) => type === 'Healthy');
  const { status, message = '', error = '' } = stringMapOf(condition);
  const verdict = status === 'True' ? 'Healthy' : status === 'False' ? 'Unhealthy' : 'Unknown';
  return [nameOf(component), verdict, message, error];
}

function ingressHosts(ingress: JsonObject): string {
  const hosts = objectsOf(at(ingress, 'spec.rules'))
    .map(({ host }) => stringOf(host))
    .filter((host) => host !== '');
  return hosts.length === 0 ? '*' : firstThree(hosts);
}

function parameters(reference: JsonObject): string {
  const { apiGroup, kind, name } = stringMapOf(reference);
  if (kind === undefined) return none;
  return apiGroup === undefined ? `${kind}/${name}` : `${kind}.${apiGroup}/${name}`;
}

function bindingCells(binding: JsonObject, now: number): readonly unknown[] {
  const subjects = objectsOf(binding['subjects']).map(stringMapOf);
  const names = (kind: string): string =>
    subjects
      .filter((subject) => subject['kind'] === kind)
      .map(({ namespace, name = '' }) => (kind === 'ServiceAccount' ? `${namespace ?? ''}/${name}` : name))
      .join(', ');
  return [
    nameOf(binding),
    `${text(binding, 'roleRef.kind', '')}/${text(binding, 'roleRef.name', '')}`,
    ageOfObject(binding, now),
    names('User'),
    names('Group'),
    names('ServiceAccount'),
  ];
}

function certificateState(request: JsonObject): string {
  const types = objectsOf(at(request, 'status.conditions')).map(({ type }) => type);
  const states = ['Denied', 'Approved'].filter((type) => types.includes(type)).slice(0, 1);
  if (states.length === 0) states.push('Pending');
  if (types.includes('Failed')) states.push('Failed');
  if (text(request, 'status.certificate', '') !== '') states.push('Issued');
  return states.join(',');
}

function availability(service: JsonObject): string {
  const condition = objectsOf(at(service, 'status.conditions')).find(({ type }) => type === 'Available');
  if (condition === undefined) return 'Unknown';
  const { status, reason } = stringMapOf(condition);
  return status === 'True' ? 'True' : `${status} (${reason})`;
}

function webhookCells(configuration: JsonObject, now: number): readonly unknown[] {
  return [nameOf(configuration), listOf(configuration['webhooks']).length, ageOfObject(configuration, now)];
}

function policyCells(policy: JsonObject, field: string, now: number): readonly unknown[] {
  const { apiVersion, kind } = stringMapOf(at(policy, 'spec.paramKind'));
  const paramKind = kind === undefined ? unset : `${apiVersion}/${kind}`;
  return [nameOf(policy), listOf(at(policy, ['spec', field])).length, paramKind, ageOfObject(policy, now)];
}

function policyBindingCells(binding: JsonObject, now: number): readonly unknown[] {
  const { namespace, name } = stringMapOf(at(binding, 'spec.paramRef'));
  const reference = name === undefined ? unset : namespace === undefined ? name : `${namespace}/${name}`;
  return [nameOf(binding), text(binding, 'spec.policyName', ''), reference, ageOfObject(binding, now)];
}

function claimState(claim: JsonObject): string {
  const states = [
    at(claim, 'metadata.deletionTimestamp') === undefined ? '' : 'deleted',
    at(claim, 'status.allocation') === undefined ? '' : 'allocated',
    listOf(at(claim, 'status.reservedFor')).length === 0 ? '' : 'reserved',
  ].filter((state) => state !== '');
  const isAllocated = states.includes('allocated');
  if (!isAllocated) states.push('pending');
  return joined(states);
}
