/** What PodGroups and the templates of Workloads share (scheduling.k8s.io/v1alpha2 of Kubernetes 1.36). */
import { invalidField, requiredField, tooManyField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, numberOf, objectOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors } from '#api/validation/format.ts';

/** Highest priority that a class of users may have (HighestUserDefinablePriority). */
const priorityMax = 1_000_000_000;

/** Complaints about the policy, the class and the priority of a group, or of the template of one; `path` is the holder's. */
export function groupErrors(group: JsonObject, path: string): readonly FieldError[] {
  const { priority, priorityClassName: name } = group;
  return [
    ...policyErrors(objectOf(group['schedulingPolicy']), `${path}.schedulingPolicy`),
    ...(stringOf(name) === '' ? [] : formatErrors(`${path}.priorityClassName`, stringOf(name), dnsSubdomain)),
    ...when(numberOf(priority) > priorityMax, () =>
      invalidField(`${path}.priority`, priority, `must be less than or equal to ${priorityMax}`),
    ),
  ];
}

const policies = ['basic', 'gang'] as const;

/** One of the policies; a gang has a count. */
function policyErrors(policy: JsonObject, path: string): readonly FieldError[] {
  const given = policies.filter((name) => isObject(policy[name]));
  const names = (list: readonly string[]): string => list.map((name) => `\`${name}\``).join(', ');
  if (given.length === 0) return [invalidField(path, '', `must specify one of: ${names(policies)}`)];
  if (given.length > 1)
    return [
      invalidField(
        path,
        `{${names(given)}}`,
        `exactly one of ${names(policies)} is required, but multiple fields are set`,
      ),
    ];
  if (given[0] === 'basic') return [];
  const { minCount } = objectOf(policy['gang']);
  const field = `${path}.gang.minCount`;
  if (numberOf(minCount) === 0) return [requiredField(field)];
  return when(numberOf(minCount) < 1, () =>
    invalidField(field, minCount, 'must be greater than or equal to 1'),
  );
}

/** A list that has at least one member, and not more than it may. */
export function countErrors(field: string, count: number, countMax: number): readonly FieldError[] {
  if (count === 0) return [requiredField(field)];
  return when(count > countMax, () => tooManyField(field, count, countMax));
}

/** A name that must be there and be a label. */
export function labelNameErrors(field: string, value: unknown): readonly FieldError[] {
  const text = stringOf(value);
  return text === '' ? [requiredField(field)] : formatErrors(field, text, dnsLabel);
}

/**
 * Fields of features that are off in a 1.36 (TopologyAwareWorkloadScheduling, DRAWorkloadResourceClaims): left out of what is written, as
 * upstream leaves them out; here who writes them is told.
 */
const droppedFields = ['schedulingConstraints', 'resourceClaims'] as const;

/** The group, or the template, without what this server leaves out. */
export function withoutDropped(group: JsonObject): JsonObject {
  if (droppedFields.every((name) => group[name] === undefined)) return group;
  const { schedulingConstraints: _constraints, resourceClaims: _claims, ...rest } = group;
  return rest;
}

/** What whoever writes those fields is told; `path` is the holder's. */
export function droppedWarnings(group: JsonObject, path: string): readonly string[] {
  return droppedFields
    .filter((name) => group[name] !== undefined)
    .map((name) => `${path}.${name}: left out, podwright does not act on it`);
}
