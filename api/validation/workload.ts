import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/field-error.ts';
import { at, equalJson, isObject, numberOf, objectOf, stringMapOf, stringOf, typed } from '#api/json.ts';
import type { JsonObject } from '#api/object.ts';
import type { LabelSelector } from '#api/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/selector.ts';
import { annotationErrors, labelErrors } from './labels.ts';
import { validatePodSpec } from './pod.ts';

type Validate = (object: JsonObject) => readonly FieldError[];

/** Complaints about a new or changed workload, by `group/Kind`. */
export const workloadValidators: Readonly<Record<string, Validate>> = {
  '/ReplicationController': (controller) => [
    ...selectorMapErrors(controller),
    ...nonNegative(controller, ['spec.replicas', 'spec.minReadySeconds']),
    ...templateErrors(controller, 'spec.template', ['Always']),
  ],
  '/PodTemplate': (template) => templateErrors(template, 'template', []),
  'apps/Deployment': (deployment) => [
    ...nonNegative(deployment, ['spec.replicas']),
    ...selectorErrors(deployment, 'deployment'),
    ...strategyErrors(deployment),
    ...nonNegative(deployment, ['spec.minReadySeconds', 'spec.revisionHistoryLimit']),
    ...deadlineErrors(deployment),
  ],
  'apps/ReplicaSet': (set) => [
    ...nonNegative(set, ['spec.replicas', 'spec.minReadySeconds']),
    ...selectorErrors(set, 'replicaset'),
  ],
  'apps/DaemonSet': (set) => [
    ...selectorErrors(set, 'daemonset'),
    ...nonNegative(set, ['spec.minReadySeconds', 'spec.revisionHistoryLimit']),
  ],
  'apps/StatefulSet': (set) => [
    ...nonNegative(set, [
      'spec.replicas',
      'spec.minReadySeconds',
      'spec.ordinals.start',
      'spec.revisionHistoryLimit',
    ]),
    ...statefulUpdateErrors(set),
    ...retentionErrors(set),
    ...selectorErrors(set, 'statefulset'),
  ],
  'apps/ControllerRevision': (revision) =>
    numberOf(revision['revision']) < 0
      ? [invalidField('revision', revision['revision'], 'must be greater than or equal to 0')]
      : [],
};

type ValidateUpdate = (old: JsonObject, object: JsonObject) => readonly FieldError[];

const statefulSetFields = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

/** Complaints about what an update changes, by `group/Kind`. */
export const workloadUpdateValidators: Readonly<Record<string, ValidateUpdate>> = {
  'apps/Deployment': immutable('spec.selector'),
  'apps/ReplicaSet': immutable('spec.selector'),
  'apps/DaemonSet': immutable('spec.selector'),
  'apps/StatefulSet': (old, set) => {
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
  'apps/ControllerRevision': immutable('data'),
};

/** A field that stays as it was created. */
export function immutable(path: string, detail = 'field is immutable'): ValidateUpdate {
  return (old, object) =>
    equalJson(at(old, path), at(object, path)) ? [] : [invalidField(path, at(object, path) ?? null, detail)];
}

/** Numbers that may be absent but not negative. */
export function nonNegative(object: JsonObject, paths: readonly string[]): readonly FieldError[] {
  return paths.flatMap((path) =>
    numberOf(at(object, path)) < 0
      ? [invalidField(path, at(object, path), 'must be greater than or equal to 0')]
      : [],
  );
}

function selectorErrors(object: JsonObject, kind: string): readonly FieldError[] {
  const selector = at(object, 'spec.selector');
  const labels = stringMapOf(at(object, 'spec.template.metadata.labels'));
  const template = templateErrors(object, 'spec.template', ['Always']);
  if (!isObject(selector)) return [requiredField('spec.selector'), ...template];
  const matcher = labelSelectorFromObject(typed<LabelSelector>(selector));
  if (matcher.requirements.length === 0) {
    return [invalidField('spec.selector', selector, `empty selector is invalid for ${kind}`), ...template];
  }
  return matchesLabels(matcher, labels)
    ? template
    : [
        invalidField('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'),
        ...template,
      ];
}

function selectorMapErrors(controller: JsonObject): readonly FieldError[] {
  const selector = stringMapOf(at(controller, 'spec.selector'));
  if (Object.keys(selector).length === 0) return [requiredField('spec.selector')];
  const labels = stringMapOf(at(controller, 'spec.template.metadata.labels'));
  return Object.entries(selector).every(([key, value]) => labels[key] === value)
    ? []
    : [invalidField('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')];
}

/** The template of a workload; `restartPolicies` empty allows all. */
export function templateErrors(
  object: JsonObject,
  path: string,
  restartPolicies: readonly string[],
): readonly FieldError[] {
  const template = at(object, path);
  if (!isObject(template)) return [requiredField(path)];
  const policy = stringOf(at(template, 'spec.restartPolicy'));
  const isAllowed = restartPolicies.length === 0 || policy === '' || restartPolicies.includes(policy);
  return [
    ...labelErrors(at(template, 'metadata.labels'), `${path}.metadata.labels`),
    ...annotationErrors(at(template, 'metadata.annotations'), `${path}.metadata.annotations`),
    ...validatePodSpec(objectOf(template['spec']), `${path}.spec`),
    ...(isAllowed ? [] : [notSupportedField(`${path}.spec.restartPolicy`, policy, restartPolicies)]),
  ];
}

function strategyErrors(deployment: JsonObject): readonly FieldError[] {
  const strategy = objectOf(at(deployment, 'spec.strategy'));
  const rolling = strategy['rollingUpdate'];
  if (strategy['type'] === 'Recreate') {
    const detail = "may not be specified when strategy `type` is 'Recreate'";
    return rolling === undefined ? [] : [forbiddenField('spec.strategy.rollingUpdate', detail)];
  }
  const isZero = (value: unknown): boolean => value === 0 || value === '0%';
  const { maxUnavailable, maxSurge } = objectOf(rolling);
  const path = 'spec.strategy.rollingUpdate';
  return [
    ...intOrPercentErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...intOrPercentErrors(maxSurge, `${path}.maxSurge`),
    ...(isZero(maxUnavailable) && isZero(maxSurge)
      ? [invalidField(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0')]
      : []),
  ];
}

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

/** A percentage that is one of a whole. */
export function shareErrors(value: unknown, field: string): readonly FieldError[] {
  const isOver = /^\d+%$/.test(stringOf(value)) && Number.parseInt(stringOf(value), 10) > 100;
  return isOver ? [invalidField(field, value, 'must not be greater than 100%')] : [];
}

function retentionErrors(set: JsonObject): readonly FieldError[] {
  const path = 'spec.persistentVolumeClaimRetentionPolicy';
  const allowed = ['Delete', 'Retain'];
  return ['whenDeleted', 'whenScaled'].flatMap((name) => {
    const policy = stringOf(at(set, `${path}.${name}`)) || 'Retain';
    return allowed.includes(policy) ? [] : [notSupportedField(`${path}.${name}`, policy, allowed)];
  });
}

/** A count, or a percentage. */
export function intOrPercentErrors(value: unknown, field: string): readonly FieldError[] {
  if (typeof value === 'number') {
    return value < 0 ? [invalidField(field, value, 'must be greater than or equal to 0')] : [];
  }
  if (value === undefined || /^\d+%$/.test(stringOf(value))) return [];
  const detail =
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
  return [invalidField(field, value, detail)];
}

function deadlineErrors(deployment: JsonObject): readonly FieldError[] {
  const deadline = at(deployment, 'spec.progressDeadlineSeconds');
  if (typeof deadline !== 'number') return [];
  if (deadline < 0) return nonNegative(deployment, ['spec.progressDeadlineSeconds']);
  return deadline > numberOf(at(deployment, 'spec.minReadySeconds'))
    ? []
    : [invalidField('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds')];
}
