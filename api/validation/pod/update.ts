import {
  forbiddenField,
  invalidField,
  invalidStruct,
  requiredField,
  noField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goDifference } from '#api/errors/go-difference.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import {
  at,
  equalJson,
  equalStored,
  goJson,
  listOf,
  objectOf,
  objectsOf,
  stringOf,
  withPath,
} from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { rangeErrors } from '#api/validation/field.ts';
import { annotationUpdateErrors, isMirror } from './annotations.ts';
import { imageErrors } from './container.ts';
import { tolerationErrors } from './tolerations.ts';

const updateText =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/**
 * What may change of a pod that exists (ValidatePodUpdate): images, a shorter deadline, more tolerations, gates that open; while it is
 * gated also where it may go, more narrowly.
 */
export function validatePodUpdate(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  const [before, after] = [objectOf(old['spec']), objectOf(pod['spec'])];
  const annotations = annotationUpdateErrors(old, pod);
  const lists = ['containers', 'initContainers'];
  const resized = lists.find((list) => objectsOf(before[list]).length !== objectsOf(after[list]).length);
  const looked = resized === undefined ? lists : lists.slice(0, lists.indexOf(resized));
  const images = looked.flatMap((list) => newImageErrors(after, list));
  if (resized !== undefined) {
    const detail = 'pod updates may not add or remove containers';
    return [...annotations, ...images, forbiddenField(`spec.${resized}`, detail)];
  }
  const deadline = deadlineErrors(before['activeDeadlineSeconds'], after['activeDeadlineSeconds']);
  const errors = [...annotations, ...images, ...deadline.errors];
  if (deadline.isFinal) return errors;
  return [
    ...errors,
    ...keptTolerationErrors(before, after),
    ...openedGateErrors(before, after),
    ...(equalStored(before, after) ? [] : specErrors(before, after)),
  ];
}

function newImageErrors(spec: JsonObject, list: string): readonly FieldError[] {
  return objectsOf(spec[list]).flatMap((container, index) => {
    const path = `spec.${list}[${index}]`;
    return stringOf(container['image']) === ''
      ? [requiredField(`${path}.image`)]
      : imageErrors(container, path);
  });
}

/** A deadline may come, and come nearer. */
function deadlineErrors(
  before: unknown,
  after: unknown,
): { readonly errors: readonly FieldError[]; readonly isFinal: boolean } {
  const field = 'spec.activeDeadlineSeconds';
  if (typeof after !== 'number') {
    const detail = 'must not update from a positive integer to nil value';
    return { errors: before === undefined ? [] : [invalidField(field, null, detail)], isFinal: false };
  }
  const isLater = typeof before === 'number' && before < after;
  const outside = rangeErrors(field, after, [0, 2 ** 31 - 1]);
  if (outside.length > 0) return { errors: outside, isFinal: true };
  return isLater
    ? { errors: [invalidField(field, after, 'must be less than or equal to previous value')], isFinal: true }
    : { errors: [], isFinal: false };
}

function keptTolerationErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const given = objectsOf(after['tolerations']);
  const withoutSeconds = ({ tolerationSeconds: _seconds, ...rest }: JsonObject): string => goJson(rest);
  const kept = new Set(given.map(withoutSeconds));
  const field = 'spec.tolerations';
  return objectsOf(before['tolerations']).every((old) => kept.has(withoutSeconds(old)))
    ? tolerationErrors(given, field)
    : [forbiddenField(field, 'existing toleration can not be modified except its tolerationSeconds')];
}

function openedGateErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const known = new Set(objectsOf(before['schedulingGates']).map(({ name }) => name));
  return objectsOf(after['schedulingGates']).flatMap(({ name }, index) =>
    known.has(name)
      ? []
      : [
          forbiddenField(
            `spec.schedulingGates[${index}].name`,
            `only deletion is allowed, but found new scheduling gate '${stringOf(name)}'`,
          ),
        ],
  );
}

function specErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const isGated = objectsOf(before['schedulingGates']).length > 0;
  const errors = isGated ? [...selectorErrors(before, after), ...nodeAffinityErrors(before, after)] : [];
  const munged = withImagesOf(before, withGraceOf(before, kept(before, after, isGated)));
  if (equalStored(before, munged)) return errors;
  return [
    ...errors,
    forbiddenField('spec', `${updateText}\n${goDifference('core.v1.PodSpec', before, munged)}`),
  ];
}

/** The new spec with what may change as it was. */
function kept(before: JsonObject, after: JsonObject, isGated: boolean): JsonObject {
  const fields = ['activeDeadlineSeconds', 'schedulingGates', 'tolerations'];
  const paths = isGated ? [...fields, 'nodeSelector', 'affinity.nodeAffinity'] : fields;
  const spec = paths.reduce((next, path) => withPath(next, path, at(before, path)), after);
  const isBare = Object.keys(objectOf(spec['affinity'])).length === 0 && before['affinity'] === undefined;
  return isBare ? withPath(spec, 'affinity', undefined) : spec;
}

/** A negative grace period, which is treated as 1, may become 1. */
function withGraceOf(before: JsonObject, after: JsonObject): JsonObject {
  const name = 'terminationGracePeriodSeconds';
  const mends = Number(before[name]) < 0 && after[name] === 1;
  return mends ? { ...after, [name]: before[name] } : after;
}

function withImagesOf(before: JsonObject, after: JsonObject): JsonObject {
  return ['containers', 'initContainers'].reduce((spec, list) => {
    const old = objectsOf(before[list]);
    const containers = objectsOf(spec[list]).map((container, index) => ({
      ...container,
      image: old[index]?.['image'],
    }));
    return containers.length === 0 ? spec : withPath(spec, list, containers);
  }, after);
}

/** While a pod is gated its selector may grow (validateNodeSelectorMutation). */
function selectorErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const [old, given] = [objectOf(before['nodeSelector']), objectOf(after['nodeSelector'])];
  const detail = 'only additions to spec.nodeSelector are allowed (no mutations or deletions)';
  return Object.entries(old).every(([key, value]) => given[key] === value)
    ? []
    : [invalidField('spec.nodeSelector', given, detail)];
}

const termsPath = [
  'affinity',
  'nodeAffinity',
  'requiredDuringSchedulingIgnoredDuringExecution',
  'nodeSelectorTerms',
];

/** … and so may each of its terms, if there are any (validateNodeAffinityMutation). */
function nodeAffinityErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const [old, given] = [objectsOf(at(before, termsPath)), objectsOf(at(after, termsPath))];
  const field = `spec.${termsPath.join('.')}`;
  if (old.length === 0) return [];
  if (old.length !== given.length) {
    const detail = 'no additions/deletions to non-empty NodeSelectorTerms list are allowed';
    const shown = given.length === 0 ? 'null' : goStruct('NodeSelectorTerm', given);
    return [invalidStruct(field, shown, detail)];
  }
  return given.flatMap((term, index) =>
    hasOnlyAdditions(old[index] ?? {}, term)
      ? []
      : [
          invalidStruct(
            `${field}[${index}]`,
            goStruct('NodeSelectorTerm', term),
            'only additions are allowed (no mutations or deletions)',
          ),
        ],
  );
}

function hasOnlyAdditions(old: JsonObject, term: JsonObject): boolean {
  const lists = ['matchExpressions', 'matchFields'];
  const isEmpty = (one: JsonObject): boolean => lists.every((list) => listOf(one[list]).length === 0);
  if (isEmpty(old)) return isEmpty(term);
  return lists.every((list) => {
    const known = listOf(old[list]);
    return equalJson(known, listOf(term[list]).slice(0, known.length));
  });
}

/** Containers are only added to a running pod, and only through their subresource (ValidatePodEphemeralContainersUpdate). */
export function validateEphemeralContainers(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  if (isMirror(old)) return [forbiddenField(noField, 'static pods do not support ephemeral containers')];
  const path = 'spec.ephemeralContainers';
  const given = new Map(objectsOf(at(pod, path)).map((container) => [container['name'], container]));
  return [
    ...annotationUpdateErrors(old, pod),
    ...objectsOf(at(old, path)).flatMap((container) => {
      const next = given.get(container['name']);
      const which = `existing ephemeral containers ${JSON.stringify(container['name'])}`;
      if (next === undefined) return [forbiddenField(path, `${which} may not be removed\n`)];
      const difference = goDifference('core.v1.EphemeralContainer', container, next);
      return equalStored(container, next)
        ? []
        : [forbiddenField(path, `${which} may not be changed\n${difference}`)];
    }),
  ];
}
