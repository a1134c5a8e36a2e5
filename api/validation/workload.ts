import {
  forbiddenField,
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import { at, isObject, listOf, numberOf, objectOf, stringMapOf, stringOf, typed } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { negativeErrors } from './field.ts';
import { labelSelectorErrors } from './label-selector.ts';
import { templateMetaErrors, validateTemplate } from './pod/pod.ts';

/** How messages call the owners of pods that are there to stay; a ReplicaSet's are written once for both. */
export type WorkloadWord = 'deployment' | 'daemonset' | 'statefulset';

/** Complaints about the selector of an owner of pods and about its template, which must fit. */
export function selectorErrors(
  object: JsonObject,
  word: WorkloadWord,
  template: JsonObject = objectOf(at(object, 'spec.template')),
): readonly FieldError[] {
  const selector = at(object, 'spec.selector');
  // No selector selects nothing.
  if (!isObject(selector)) {
    return [requiredField('spec.selector'), labelMismatch(template), ...stayingErrors(template, word)];
  }
  const wrong = labelSelectorErrors(selector, 'spec.selector');
  const empty = isEmptySelector(selector)
    ? [
        invalidStruct(
          'spec.selector',
          goValue('meta.v1.LabelSelector', selector),
          `empty selector is invalid for ${word}`,
        ),
      ]
    : [];
  // What is no selector selects nothing that could be compared; a template is not looked at then, but for the end of a set's pods.
  if (wrong.length > 0) {
    const bad = invalidStruct('spec.selector', goValue('meta.v1.LabelSelector', selector), badSelector[word]);
    return [...wrong, ...empty, bad, ...(word === 'statefulset' ? endErrors(template, word) : [])];
  }
  return [...empty, ...labelMatchErrors(selector, template), ...stayingErrors(template, word)];
}

const badSelector: Readonly<Record<WorkloadWord, string>> = {
  deployment: 'invalid label selector',
  daemonset: 'invalid label selector',
  statefulset: '',
};

/** Whether a selector says nothing, and so selects all. */
export function isEmptySelector({ matchLabels, matchExpressions }: JsonObject): boolean {
  return Object.keys(objectOf(matchLabels)).length === 0 && listOf(matchExpressions).length === 0;
}

/** A template carries the labels that its owner selects. */
export function labelMatchErrors(selector: JsonObject, template: JsonObject): readonly FieldError[] {
  const labels = stringMapOf(at(template, 'metadata.labels'));
  const matcher = labelSelectorFromObject(typed<LabelSelector>(selector));
  return matchesLabels(matcher, labels) ? [] : [labelMismatch(template)];
}

/** What is said of a template that its owner does not select. */
export function labelMismatch(template: JsonObject): FieldError {
  const labels = at(template, 'metadata.labels') ?? null;
  return invalidField('spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
}

const owners: Readonly<Record<WorkloadWord | 'controller', string>> = {
  deployment: 'ReplicaSet',
  daemonset: 'DaemonSet',
  statefulset: 'StatefulSet',
  controller: 'ReplicationController',
};

/** The template of pods that are there to stay: they start again, and have no end. */
export function stayingErrors(template: JsonObject, word: keyof typeof owners): readonly FieldError[] {
  const path = 'spec.template';
  return [
    ...validateTemplate(template, path),
    // Upstream looks at those of a set twice.
    ...(word === 'statefulset' ? templateMetaErrors(template, path) : []),
    ...endErrors(template, word),
  ];
}

function endErrors(template: JsonObject, word: keyof typeof owners): readonly FieldError[] {
  const spec = objectOf(template['spec']);
  const path = 'spec.template.spec';
  const policy = stringOf(spec['restartPolicy']);
  const detail = `activeDeadlineSeconds in ${owners[word]} is not Supported`;
  return [
    ...(policy === 'Always' ? [] : [notSupportedField(`${path}.restartPolicy`, policy, ['Always'])]),
    ...(spec['activeDeadlineSeconds'] === undefined
      ? []
      : [forbiddenField(`${path}.activeDeadlineSeconds`, detail)]),
  ];
}

/** What the status of an owner of pods counts. */
export interface StatusCounts {
  /** None of them below 0. */
  readonly counts: readonly string[];
  /** None of them above `replicas`. */
  readonly parts?: readonly string[];
  /** What is said of more that are available than ready. */
  readonly ready?: string;
}

/** Complaints about the counts of a status, and about a count of collisions that goes back. */
export function statusCountErrors({
  counts,
  parts = [],
  ready,
}: StatusCounts): (old: JsonObject, object: JsonObject) => readonly FieldError[] {
  return (old, object) => {
    const status = objectOf(object['status']);
    const over = (name: string, most: string, detail: string): readonly FieldError[] =>
      numberOf(status[name]) > numberOf(status[most])
        ? [invalidField(`status.${name}`, status[name] ?? 0, detail)]
        : [];
    const before = at(old, 'status.collisionCount');
    const after = status['collisionCount'];
    const isLess = typeof before === 'number' && numberOf(after) < before;
    const goesBack =
      counts.includes('collisionCount') && (isLess || (before !== undefined && after === undefined));
    return [
      ...negativeErrors(status, counts, 'status'),
      ...parts.flatMap((name) => over(name, 'replicas', 'cannot be greater than status.replicas')),
      ...(ready === undefined ? [] : over('availableReplicas', 'readyReplicas', ready)),
      ...(goesBack ? [invalidField('status.collisionCount', after ?? 0, 'cannot be decremented')] : []),
    ];
  };
}
