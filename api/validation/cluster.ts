import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/field-error.ts';
import {
  at,
  equalJson,
  isObject,
  listOf,
  numberOf,
  objectOf,
  objectsOf,
  stringOf,
  typed,
} from '#api/json.ts';
import type { JsonObject } from '#api/object.ts';
import type { LabelSelector } from '#api/objects.ts';
import { tryParseQuantity } from '#api/quantity.ts';
import { labelSelectorFromObject } from '#api/selector.ts';
import { immutable, intOrPercentErrors, shareErrors } from './workload.ts';
import { validateCoreEvent, validateEvent, validateEventUpdate } from './event.ts';
import { formatErrors, qualifiedName } from './format.ts';

type Validate = (object: JsonObject) => readonly FieldError[];
type ValidateUpdate = (old: JsonObject, object: JsonObject) => readonly FieldError[];

/** Complaints about storage, scheduling, RBAC and what else is cluster plumbing, by `group/Kind`. */
export const clusterValidators: Readonly<Record<string, Validate>> = {
  '/Node': (node) => taintErrors(objectsOf(at(node, 'spec.taints'))),
  '/PersistentVolume': (volume) => [
    ...accessModeErrors(volume),
    ...(Object.keys(objectOf(at(volume, 'spec.capacity'))).length === 0
      ? [requiredField('spec.capacity')]
      : []),
    ...(Object.keys(objectOf(volume['spec'])).some((key) => volumeSources.has(key))
      ? []
      : [requiredField('spec', 'must specify a volume type')]),
  ],
  '/PersistentVolumeClaim': (claim) => [
    ...accessModeErrors(claim),
    ...(at(claim, 'spec.resources.requests.storage') === undefined
      ? [requiredField('spec.resources[storage]')]
      : []),
  ],
  '/Event': validateCoreEvent,
  'events.k8s.io/Event': validateEvent,
  '/ResourceQuota': (quota) =>
    Object.entries(objectOf(at(quota, 'spec.hard'))).flatMap(([name, value]) => [
      ...formatErrors(`spec.hard[${name}]`, name, qualifiedName),
      ...((tryParseQuantity(value)?.nanos ?? 0n) < 0n
        ? [invalidField(`spec.hard[${name}]`, value, 'must be greater than or equal to 0')]
        : []),
    ]),
  'policy/PodDisruptionBudget': (budget) => {
    const { minAvailable, maxUnavailable } = objectOf(budget['spec']);
    return [
      ...(minAvailable !== undefined && maxUnavailable !== undefined
        ? [invalidField('spec', budget['spec'], 'minAvailable and maxUnavailable cannot be both set')]
        : []),
      ...intOrPercentErrors(minAvailable, 'spec.minAvailable'),
      ...shareErrors(minAvailable, 'spec.minAvailable'),
      ...intOrPercentErrors(maxUnavailable, 'spec.maxUnavailable'),
      ...shareErrors(maxUnavailable, 'spec.maxUnavailable'),
      ...selectorErrors(at(budget, 'spec.selector'), 'spec.selector'),
    ];
  },
  'autoscaling/HorizontalPodAutoscaler': (hpa) => {
    const { minReplicas, maxReplicas } = objectOf(hpa['spec']);
    const errors: FieldError[] = [];
    if (typeof minReplicas === 'number' && minReplicas < 1) {
      errors.push(invalidField('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
    }
    if (numberOf(maxReplicas) < 1)
      errors.push(invalidField('spec.maxReplicas', maxReplicas ?? 0, 'must be greater than 0'));
    else if (numberOf(maxReplicas) < numberOf(minReplicas)) {
      errors.push(
        invalidField('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'),
      );
    }
    return errors;
  },
  'coordination.k8s.io/Lease': (lease) => {
    const { leaseDurationSeconds, leaseTransitions } = objectOf(lease['spec']);
    return [
      ...(typeof leaseDurationSeconds === 'number' && leaseDurationSeconds <= 0
        ? [invalidField('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0')]
        : []),
      ...(numberOf(leaseTransitions) < 0
        ? [invalidField('spec.leaseTransitions', leaseTransitions, 'must be greater than or equal to 0')]
        : []),
    ];
  },
  'rbac.authorization.k8s.io/RoleBinding': (binding) =>
    bindingErrors(binding, { kinds: ['ClusterRole', 'Role'], isNamespaced: true }),
  'rbac.authorization.k8s.io/ClusterRoleBinding': (binding) =>
    bindingErrors(binding, { kinds: ['ClusterRole'], isNamespaced: false }),
  'rbac.authorization.k8s.io/Role': (role) => ruleErrors(role, false),
  'rbac.authorization.k8s.io/ClusterRole': (role) => ruleErrors(role, true),
  'scheduling.k8s.io/PriorityClass': (priority) => {
    const isSystem = stringOf(at(priority, 'metadata.name')).startsWith('system-');
    return !isSystem && numberOf(priority['value']) > userPriorityMax
      ? [forbiddenField('value', `maximum allowed value of a user defined priority is ${userPriorityMax}`)]
      : [];
  },
  'apiextensions.k8s.io/CustomResourceDefinition': definitionErrors,
  'networking.k8s.io/NetworkPolicy': (policy) =>
    selectorErrors(at(policy, 'spec.podSelector'), 'spec.podSelector'),
};

/** Complaints about what an update changes, by `group/Kind`. */
export const clusterUpdateValidators: Readonly<Record<string, ValidateUpdate>> = {
  '/Node': (old, node) =>
    stringOf(at(old, 'spec.podCIDR')) === '' || equalJson(at(old, 'spec.podCIDRs'), at(node, 'spec.podCIDRs'))
      ? []
      : [forbiddenField('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid')],
  '/PersistentVolumeClaim': claimUpdateErrors,
  'events.k8s.io/Event': validateEventUpdate,
  'discovery.k8s.io/EndpointSlice': immutable('addressType'),
  'rbac.authorization.k8s.io/RoleBinding': immutable('roleRef', 'cannot change roleRef'),
  'rbac.authorization.k8s.io/ClusterRoleBinding': immutable('roleRef', 'cannot change roleRef'),
  'scheduling.k8s.io/PriorityClass': (old, priority) => [
    ...(old['value'] === priority['value']
      ? []
      : [forbiddenField('value', 'may not be changed in an update.')]),
    ...immutable('preemptionPolicy')(old, priority),
  ],
  'node.k8s.io/RuntimeClass': immutable('handler'),
  'storage.k8s.io/StorageClass': (old, storageClass) => [
    ...['parameters', 'provisioner', 'reclaimPolicy'].flatMap((field) =>
      equalJson(old[field], storageClass[field])
        ? []
        : [forbiddenField(field, `updates to ${field} are forbidden.`)],
    ),
    ...immutable('volumeBindingMode')(old, storageClass),
  ],
  'networking.k8s.io/IPAddress': immutable('spec.parentRef'),
  'apiextensions.k8s.io/CustomResourceDefinition': (old, definition) => [
    ...immutable('spec.group')(old, definition),
    ...immutable('spec.names.plural')(old, definition),
    ...immutable('spec.names.kind')(old, definition),
    ...immutable('spec.scope')(old, definition),
  ],
};

const userPriorityMax = 1_000_000_000;

const volumeSources: ReadonlySet<string> = new Set(
  (
    'awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk glusterfs hostPath ' +
    'iscsi local nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume'
  ).split(' '),
);

function accessModeErrors(object: JsonObject): readonly FieldError[] {
  return listOf(at(object, 'spec.accessModes')).length === 0
    ? [requiredField('spec.accessModes', 'at least 1 access mode is required')]
    : [];
}

function claimUpdateErrors(old: JsonObject, claim: JsonObject): readonly FieldError[] {
  // A claim is bound by setting volumeName once; it grows by its requests.
  const fixed = (object: JsonObject): JsonObject => {
    const {
      resources: _resources,
      volumeAttributesClassName: _attributes,
      ...spec
    } = objectOf(object['spec']);
    const isBinding = stringOf(at(old, 'spec.volumeName')) === '';
    const { volumeName: _volume, ...unbound } = spec;
    return isBinding ? unbound : spec;
  };
  if (equalJson(fixed(old), fixed(claim))) return [];
  return [
    forbiddenField(
      'spec',
      'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
    ),
  ];
}

function taintErrors(taints: readonly JsonObject[]): readonly FieldError[] {
  const seen = new Set<string>();
  return taints.flatMap((taint, index) => {
    const key = `${stringOf(taint['key'])}:${stringOf(taint['effect'])}`;
    const field = `spec.taints[${index}]`;
    const errors =
      stringOf(taint['key']) === ''
        ? []
        : formatErrors(`${field}.key`, stringOf(taint['key']), qualifiedName);
    const isDuplicate = seen.has(key);
    seen.add(key);
    if (!isDuplicate) return errors;
    return [
      ...errors,
      {
        type: 'Duplicate',
        field,
        value: taint,
        detail: 'taints must be unique by key and effect pair',
      } as const,
    ];
  });
}

function selectorErrors(selector: unknown, field: string): readonly FieldError[] {
  if (!isObject(selector)) return [];
  const matcher = labelSelectorFromObject(typed<LabelSelector>(selector));
  return matcher.requirements.flatMap(({ operator, values, key }) => {
    const needsValues = operator === 'In' || operator === 'NotIn';
    if (needsValues && values.length === 0) {
      return [
        requiredField(
          `${field}.matchExpressions[${key}].values`,
          "must be specified when `operator` is 'In' or 'NotIn'",
        ),
      ];
    }
    return [];
  });
}

/** ValidateRoleBinding and ValidateClusterRoleBinding (pkg/apis/rbac/validation). */
function bindingErrors(
  binding: JsonObject,
  { kinds, isNamespaced }: { readonly kinds: readonly string[]; readonly isNamespaced: boolean },
): readonly FieldError[] {
  const kind = stringOf(at(binding, 'roleRef.kind'));
  return [
    ...(kind === '' || kinds.includes(kind) ? [] : [notSupportedField('roleRef.kind', kind, kinds)]),
    ...objectsOf(binding['subjects']).flatMap((subject, index) => {
      const field = `subjects[${index}]`;
      const allowed = ['Group', 'ServiceAccount', 'User'];
      const subjectKind = stringOf(subject['kind']);
      if (subjectKind !== '' && !allowed.includes(subjectKind)) {
        return [notSupportedField(`${field}.kind`, subjectKind, ['ServiceAccount', 'User', 'Group'])];
      }
      const lacksNamespace =
        !isNamespaced && subjectKind === 'ServiceAccount' && stringOf(subject['namespace']) === '';
      return lacksNamespace ? [requiredField(`${field}.namespace`)] : [];
    }),
  ];
}

function ruleErrors(role: JsonObject, isCluster: boolean): readonly FieldError[] {
  return objectsOf(role['rules']).flatMap((rule, index) => {
    const field = `rules[${index}]`;
    const [urls, verbs, groups, resources] = ['nonResourceURLs', 'verbs', 'apiGroups', 'resources'].map(
      (name) => listOf(rule[name]),
    );
    const errors: FieldError[] = [];
    if (verbs?.length === 0)
      errors.push(requiredField(`${field}.verbs`, 'verbs must contain at least one value'));
    if (urls !== undefined && urls.length > 0) {
      if (!isCluster) {
        errors.push(
          invalidField(
            `${field}.nonResourceURLs`,
            urls,
            'namespaced rules cannot apply to non-resource URLs',
          ),
        );
      }
      return errors;
    }
    if (groups?.length === 0)
      errors.push(requiredField(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
    if (resources?.length === 0)
      errors.push(requiredField(`${field}.resources`, 'resource rules must supply at least one resource'));
    return errors;
  });
}

function definitionErrors(definition: JsonObject): readonly FieldError[] {
  const spec = objectOf(definition['spec']);
  const wanted = `${stringOf(at(spec, 'names.plural'))}.${stringOf(spec['group'])}`;
  const name = stringOf(at(definition, 'metadata.name'));
  const stored = objectsOf(spec['versions']).filter((version) => version['storage'] === true);
  return [
    ...(name === wanted
      ? []
      : [invalidField('metadata.name', name, 'must be spec.names.plural+"."+spec.group')]),
    ...(stored.length === 1
      ? []
      : [
          invalidField(
            'spec.versions',
            spec['versions'] ?? [],
            'must have exactly one version marked as storage version',
          ),
        ]),
  ];
}
