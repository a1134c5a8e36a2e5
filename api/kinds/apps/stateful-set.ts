import { forbiddenField, invalidField, notSupportedField, type FieldError } from '#api/errors/field-error.ts';
import { at, equalJson, listOf, objectOf, objectsOf, stringOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { statefulSetCells } from '#api/table/workload.ts';
import { claimSpecWarnings } from '#api/warnings/pod.ts';
import { intOrPercentErrors, nonNegative, shareErrors } from '#api/validation/field.ts';
import { selectorErrors } from '#api/validation/workload.ts';

/** Rules of StatefulSets. */
export const statefulSetRules: KindRules = {
  effect: acted('control-plane/controllers/statefulset/reconcile.ts'),
  unactedParts: [
    {
      part: 'volumeClaimTemplates',
      what: 'the claims are made, and no volume is bound to them',
      find: (set) =>
        listOf(at(set, 'spec.volumeClaimTemplates')).length > 0 ? ['spec.volumeClaimTemplates'] : [],
    },
  ],
  defaults: [
    ['spec.replicas', 1],
    ['spec.podManagementPolicy', 'OrderedReady'],
    ['spec.updateStrategy', {}],
    ['spec.updateStrategy.type', 'RollingUpdate'],
    [
      'spec.updateStrategy.rollingUpdate',
      (strategy) => (strategy['type'] === 'RollingUpdate' ? {} : undefined),
    ],
    ['spec.updateStrategy.rollingUpdate.partition', 0],
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
  warnings: (set) =>
    objectsOf(at(set, 'spec.volumeClaimTemplates')).flatMap(({ spec }, index) =>
      claimSpecWarnings(objectOf(spec), `spec.volumeClaimTemplates[${index}].spec`),
    ),
  validate: (set) => [
    ...nonNegative(set, [
      'spec.replicas',
      'spec.minReadySeconds',
      'spec.ordinals.start',
      'spec.revisionHistoryLimit',
    ]),
    ...statefulUpdateErrors(set),
    ...retentionErrors(set),
    ...selectorErrors(
      set,
      'statefulset',
      listOf(at(set, 'spec.volumeClaimTemplates')).map((claim) =>
        stringOf(at(objectOf(claim), 'metadata.name')),
      ),
    ),
  ],
  validateUpdate: (old, set) => {
    const fixed = (object: JsonObject): readonly unknown[] =>
      Object.entries(objectOf(object['spec'])).filter(([name]) => !statefulSetFields.includes(name));
    const isSame = equalJson(
      Object.fromEntries(fixed(old) as [string, unknown][]),
      Object.fromEntries(fixed(set) as [string, unknown][]),
    );
    const names = statefulSetFields.map((name) => `'${name}'`);
    const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
    return isSame
      ? []
      : [forbiddenField('spec', `updates to statefulset spec for fields other than ${list} are forbidden`)];
  },
  cells: (object, now) => statefulSetCells(typed(object), now),
};

const statefulSetFields = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

function statefulUpdateErrors(set: JsonObject): readonly FieldError[] {
  const strategy = objectOf(at(set, 'spec.updateStrategy'));
  const path = 'spec.updateStrategy.rollingUpdate';
  const { rollingUpdate } = strategy;
  if (strategy['type'] === 'OnDelete') {
    const detail = "only allowed for updateStrategy 'RollingUpdate'";
    return rollingUpdate === undefined ? [] : [invalidField(path, rollingUpdate, detail)];
  }
  const { maxUnavailable } = objectOf(rollingUpdate);
  const isZero = maxUnavailable === 0 || /^0+%$/.test(stringOf(maxUnavailable));
  return [
    ...nonNegative(set, [`${path}.partition`]),
    ...intOrPercentErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...(isZero ? [invalidField(`${path}.maxUnavailable`, maxUnavailable, 'cannot be 0')] : []),
    ...shareErrors(maxUnavailable, `${path}.maxUnavailable`),
  ];
}

function retentionErrors(set: JsonObject): readonly FieldError[] {
  const path = 'spec.persistentVolumeClaimRetentionPolicy';
  const allowed = ['Delete', 'Retain'];
  return ['whenDeleted', 'whenScaled'].flatMap((name) => {
    const policy = stringOf(at(set, `${path}.${name}`)) || 'Retain';
    return allowed.includes(policy) ? [] : [notSupportedField(`${path}.${name}`, policy, allowed)];
  });
}
