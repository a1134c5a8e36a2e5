import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, objectOf, stringMapOf, stringOf, typed } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { labelSelectorErrors } from './label-selector.ts';
import { annotationErrors, labelErrors } from './labels.ts';
import { validatePodSpec } from './pod/pod.ts';

/**
 * The selector of a workload and its template, which must fit; `kind` is how messages call it, `volumes` are the names of those that each of
 * its pods gets beside the template's.
 */
export function selectorErrors(
  object: JsonObject,
  kind: string,
  volumes: readonly string[] = [],
): readonly FieldError[] {
  const selector = at(object, 'spec.selector');
  const labels = stringMapOf(at(object, 'spec.template.metadata.labels'));
  const template = [
    ...templateErrors(object, 'spec.template', { restartPolicies: ['Always'], volumes }),
    ...deadlineErrors(object, kind),
  ];
  if (!isObject(selector)) return [requiredField('spec.selector'), ...template];
  const wrong = labelSelectorErrors(selector, 'spec.selector');
  if (wrong.length > 0) return [...wrong, ...template];
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

/** Pods that are there to stay have no end. */
function deadlineErrors(object: JsonObject, kind: string): readonly FieldError[] {
  const field = 'spec.template.spec.activeDeadlineSeconds';
  if (at(object, field) === undefined) return [];
  const owner = { daemonset: 'DaemonSet', statefulset: 'StatefulSet' }[kind] ?? 'ReplicaSet';
  return [forbiddenField(field, `activeDeadlineSeconds in ${owner} is not Supported`)];
}

/** The template of a workload; without `restartPolicies` all are allowed. `volumes` may be mounted though the template has none of that name. */
export function templateErrors(
  object: JsonObject,
  path: string,
  {
    restartPolicies = [],
    volumes = [],
  }: { readonly restartPolicies?: readonly string[]; readonly volumes?: readonly string[] } = {},
): readonly FieldError[] {
  const template = at(object, path);
  if (!isObject(template)) return [requiredField(path)];
  const policy = stringOf(at(template, 'spec.restartPolicy'));
  const isAllowed = restartPolicies.length === 0 || policy === '' || restartPolicies.includes(policy);
  return [
    ...labelErrors(at(template, 'metadata.labels'), `${path}.metadata.labels`),
    ...annotationErrors(at(template, 'metadata.annotations'), `${path}.metadata.annotations`),
    ...validatePodSpec(objectOf(template['spec']), `${path}.spec`, volumes),
    ...(isAllowed ? [] : [notSupportedField(`${path}.spec.restartPolicy`, policy, restartPolicies)]),
  ];
}
