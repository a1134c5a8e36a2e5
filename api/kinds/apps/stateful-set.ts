import {
  forbiddenField,
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { at, equalStored, numberOf, objectOf, objectsOf, stringOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { statefulSetCells } from '#api/table/workload.ts';
import {
  amountOf,
  intOrPercentErrors,
  negativeErrors,
  nonNegative,
  shareErrors,
} from '#api/validation/field.ts';
import { dnsLabel, formatErrors } from '#api/validation/format.ts';
import { claimSpecErrors } from '#api/validation/parts/claim-spec.ts';
import { selectorErrors, statusCountErrors } from '#api/validation/workload.ts';
import { claimSpecWarnings } from '#api/warnings/pod.ts';

/** Rules of StatefulSets. */
export const statefulSetRules: KindRules = {
  effect: acted('control-plane/controllers/statefulset/reconcile.ts'),
  defaults: [
    ['spec.replicas', 1],
    ['spec.podManagementPolicy', 'OrderedReady'],
    ['spec.updateStrategy', {}],
    // Who names the type has no part of it made up.
    ['spec.updateStrategy.rollingUpdate', ({ type = '' }) => (type === '' ? {} : undefined)],
    ['spec.updateStrategy.type', 'RollingUpdate'],
    [
      'spec.updateStrategy.rollingUpdate.partition',
      (_rolling, set) => (at(set, 'spec.updateStrategy.type') === 'RollingUpdate' ? 0 : undefined),
    ],
    ['spec.revisionHistoryLimit', 10],
    ['spec.persistentVolumeClaimRetentionPolicy', {}],
    ['spec.persistentVolumeClaimRetentionPolicy.whenDeleted', 'Retain'],
    ['spec.persistentVolumeClaimRetentionPolicy.whenScaled', 'Retain'],
    ['spec.serviceName', () => ''],
    ['spec.volumeClaimTemplates[].kind', 'PersistentVolumeClaim'],
    ['spec.volumeClaimTemplates[].apiVersion', 'v1'],
    ['spec.volumeClaimTemplates[].spec.volumeMode', 'Filesystem'],
    ['spec.volumeClaimTemplates[].status', {}],
    ['spec.volumeClaimTemplates[].status.phase', 'Pending'],
  ],
  podSpec: { path: 'spec.template.spec', isTemplate: true },
  warnings: setWarnings,
  nameFormat: dnsLabel,
  validate: statefulSetErrors,
  validateCreate: newSetErrors,
  validateUpdate: otherFieldErrors,
  validateStatusUpdate: statusCountErrors({
    counts: [
      'replicas',
      'readyReplicas',
      'currentReplicas',
      'updatedReplicas',
      'availableReplicas',
      'observedGeneration',
      'collisionCount',
    ],
    parts: ['readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'],
    ready: 'cannot be greater than status.readyReplicas',
  }),
  validatesAll: true,
  cells: (object, now) => statefulSetCells(typed(object), now),
};

/** What is told of a set beside its template; the paths are upstream's. */
function setWarnings(set: JsonObject, old: JsonObject | undefined): readonly string[] {
  const part = old === undefined ? '' : '.Spec';
  return [
    ...objectsOf(at(set, 'spec.volumeClaimTemplates')).flatMap(({ spec }, index) =>
      claimSpecWarnings(objectOf(spec), `spec.volumeClaimTemplates[${index}]${part}`),
    ),
    ...(numberOf(at(set, 'spec.revisionHistoryLimit')) < 0
      ? [
          'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended',
        ]
      : []),
  ];
}

/** Complaints about a set, in upstream's order; what is said of new ones only is `newSetErrors`. */
function statefulSetErrors(set: JsonObject): readonly FieldError[] {
  const path = 'spec.persistentVolumeClaimRetentionPolicy';
  return [
    ...managementErrors(at(set, 'spec.podManagementPolicy')),
    ...strategyErrors(objectOf(at(set, 'spec.updateStrategy'))),
    ...(at(set, path) === undefined
      ? []
      : ['whenDeleted', 'whenScaled'].flatMap((name) =>
          retentionErrors(at(set, `${path}.${name}`), `${path}.${name}`),
        )),
    ...nonNegative(set, ['spec.replicas', 'spec.minReadySeconds', 'spec.ordinals.start']),
    ...selectorErrors(set, 'statefulset', templateOf(set)),
  ];
}

function managementErrors(policy: unknown): readonly FieldError[] {
  const field = 'spec.podManagementPolicy';
  if (stringOf(policy) === '') return [requiredField(field)];
  return policy === 'OrderedReady' || policy === 'Parallel'
    ? []
    : [invalidField(field, policy, "must be 'OrderedReady' or 'Parallel'")];
}

function strategyErrors(strategy: JsonObject): readonly FieldError[] {
  const [path, { type, rollingUpdate }] = ['spec.updateStrategy', strategy];
  const rolling = 'RollingUpdateStatefulSet';
  switch (stringOf(type)) {
    case '':
      return [requiredField(path)];
    case 'OnDelete': {
      const detail = "only allowed for updateStrategy 'RollingUpdate'";
      return rollingUpdate === undefined
        ? []
        : [invalidStruct(`${path}.rollingUpdate`, goStruct(rolling, rollingUpdate), detail)];
    }
    case 'RollingUpdate':
      return rollingErrors(objectOf(rollingUpdate), `${path}.rollingUpdate`);
    default: {
      const shown = goStruct('Strategy', strategy, { RollingUpdate: rolling });
      return [invalidStruct(path, shown, "must be 'RollingUpdate' or 'OnDelete'")];
    }
  }
}

function rollingErrors(rolling: JsonObject, path: string): readonly FieldError[] {
  const { maxUnavailable } = rolling;
  const field = `${path}.maxUnavailable`;
  const isZero = maxUnavailable !== undefined && amountOf(maxUnavailable) === 0;
  return [
    ...negativeErrors(rolling, ['partition'], path),
    ...intOrPercentErrors(maxUnavailable, field),
    ...(isZero ? [invalidField(field, maxUnavailable, 'cannot be 0')] : []),
    ...shareErrors(maxUnavailable, field),
  ];
}

function retentionErrors(policy: unknown, field: string): readonly FieldError[] {
  const allowed = ['Retain', 'Delete'];
  return allowed.includes(stringOf(policy)) ? [] : [notSupportedField(field, policy ?? '', allowed)];
}

/** The template as its pods will be: host names are the set's to give, and the claims of its templates are volumes. */
function templateOf(set: JsonObject): JsonObject {
  const template = objectOf(at(set, 'spec.template'));
  const { subdomain: _subdomain, hostname: _hostname, ...spec } = objectOf(template['spec']);
  const claims = objectsOf(at(set, 'spec.volumeClaimTemplates')).map((claim) => at(claim, 'metadata.name'));
  if (claims.length === 0) return { ...template, spec };
  const names = [...new Set(claims)];
  const volumes = [
    ...names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } })),
    ...objectsOf(spec['volumes']).filter(({ name }) => !names.includes(name)),
  ];
  return { ...template, spec: { ...spec, volumes } };
}

/** Complaints about a new set only: what it may not change later, and so may have been made before it was asked for. */
function newSetErrors(set: JsonObject): readonly FieldError[] {
  const name = stringOf(at(set, 'spec.serviceName'));
  return [
    ...objectsOf(at(set, 'spec.volumeClaimTemplates')).flatMap((claim, index) =>
      claimSpecErrors(objectOf(claim['spec']), `spec.volumeClaimTemplates[${index}].spec`),
    ),
    ...(name === '' ? [] : formatErrors('spec.serviceName', name, dnsLabel)),
  ];
}

const mutableFields = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

function otherFieldErrors(old: JsonObject, set: JsonObject): readonly FieldError[] {
  const fixed = (object: JsonObject): JsonObject =>
    Object.fromEntries(
      Object.entries(objectOf(object['spec'])).filter(([name]) => !mutableFields.includes(name)),
    );
  if (equalStored(fixed(old), fixed(set))) return [];
  const names = mutableFields.map((name) => `'${name}'`);
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  return [forbiddenField('spec', `updates to statefulset spec for fields other than ${list} are forbidden`)];
}
