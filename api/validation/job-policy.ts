import {
  duplicateField,
  invalidField,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { qualifiedName } from './format.ts';

const ruleMax = 20;
const patternMax = 20;
const exitCodeMax = 255;
const indexesLengthMax = 65_536;

/** Complaints about `podFailurePolicy` of a Job's spec at `path` (batch/v1 PodFailurePolicy). */
export function podFailurePolicyErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const field = `${path}.podFailurePolicy.rules`;
  const rules = objectsOf(at(spec, 'podFailurePolicy.rules'));
  const containers = ['containers', 'initContainers'].flatMap((list) =>
    objectsOf(at(spec, ['template', 'spec', list])),
  );
  const names = containers.map(({ name }) => stringOf(name));
  return [
    ...tooMany(rules, ruleMax, field),
    ...rules.flatMap((rule, index) => [
      ...(rule['action'] === 'FailIndex' && spec['backoffLimitPerIndex'] === undefined
        ? [
            invalidField(
              `${field}[${index}].action`,
              'FailIndex',
              'requires the backoffLimitPerIndex to be set',
            ),
          ]
        : []),
      ...failureRuleErrors(rule, `${field}[${index}]`, names),
    ]),
  ];
}

/** Complaints about `successPolicy` of an Indexed job's spec at `path` (batch/v1 SuccessPolicy). */
export function successPolicyErrors(spec: JsonObject, path: string): readonly FieldError[] {
  if (spec['successPolicy'] === undefined) return [];
  const field = `${path}.successPolicy.rules`;
  const rules = objectsOf(at(spec, 'successPolicy.rules'));
  const empty = 'at least one rules must be specified when the successPolicy is specified';
  return [
    ...(rules.length === 0 ? [requiredField(field, empty)] : []),
    ...tooMany(rules, ruleMax, field),
    ...rules.flatMap((rule, index) =>
      successRuleErrors(rule, `${field}[${index}]`, numberOf(spec['completions'])),
    ),
  ];
}

/** How many indexes `0-2,5` names, or what is wrong with it. */
export function countIndexes(text: string, completions: number): number | string {
  if (text === '') return 0;
  let [count, last] = [0, -1];
  for (const part of text.split(',')) {
    const limits = part.split('-');
    if (limits.length > 2) {
      return `the fragment ${JSON.stringify(part)} violates the requirement that an index interval can have at most two parts separated by '-'`;
    }
    for (const [nth, limit] of limits.entries()) {
      if (!/^[+]?\d+$/.test(limit))
        return `cannot convert string to integer for index: ${JSON.stringify(limit)}`;
      const index = Number(limit);
      if (index >= completions) return `too large index: ${JSON.stringify(limit)}`;
      if (nth === 0 ? index <= last : index < last) {
        return `non-increasing order, previous: ${last}, current: ${index}`;
      }
      count += nth === 0 ? 1 : index - last;
      last = index;
    }
  }
  return count;
}

function failureRuleErrors(
  rule: JsonObject,
  field: string,
  containers: readonly string[],
): readonly FieldError[] {
  const patterns = objectsOf(rule['onPodConditions']);
  const hasExitCodes = rule['onExitCodes'] !== undefined;
  const both = 'specifying both OnExitCodes and OnPodConditions is not supported';
  const none = 'specifying one of OnExitCodes and OnPodConditions is required';
  return [
    ...(hasExitCodes
      ? exitCodeErrors(objectOf(rule['onExitCodes']), `${field}.onExitCodes`, containers)
      : []),
    ...tooMany(patterns, patternMax, `${field}.onPodConditions`),
    ...patterns.flatMap((pattern, index) => conditionErrors(pattern, `${field}.onPodConditions[${index}]`)),
    ...(hasExitCodes && patterns.length > 0 ? [withoutValue(field, both)] : []),
    ...(!hasExitCodes && patterns.length === 0 ? [withoutValue(field, none)] : []),
  ];
}

function conditionErrors(pattern: JsonObject, field: string): readonly FieldError[] {
  const type = stringOf(pattern['type']);
  const status = stringOf(pattern['status']);
  const allowed = ['False', 'True', 'Unknown'];
  return [
    ...qualifiedName(type).map((detail) => invalidField(`${field}.type`, type, detail)),
    ...(allowed.includes(status) ? [] : [notSupportedField(`${field}.status`, status, allowed)]),
  ];
}

function exitCodeErrors(
  requirement: JsonObject,
  field: string,
  containers: readonly string[],
): readonly FieldError[] {
  const name = requirement['containerName'];
  const codes = listOf(requirement['values']).map(numberOf);
  const first = new Map(codes.map((code, index) => [code, index] as const).toReversed());
  const isIn = requirement['operator'] === 'In';
  const values = `${field}.values`;
  const isOrdered = codes.every((code, index) => code >= (codes[index - 1] ?? code));
  const unknown = 'must be one of the container or initContainer names in the pod template';
  return [
    ...(name === undefined || containers.includes(stringOf(name))
      ? []
      : [invalidField(`${field}.containerName`, name, unknown)]),
    ...(codes.length === 0 ? [invalidField(values, codes, 'at least one value is required')] : []),
    ...tooMany(codes, exitCodeMax, values),
    ...codes.flatMap((code, index) => [
      ...(isIn && code === 0
        ? [invalidField(`${values}[${index}]`, code, 'must not be 0 for the In operator')]
        : []),
      ...(first.get(code) !== index ? [duplicateField(`${values}[${index}]`, code)] : []),
    ]),
    ...(isOrdered ? [] : [invalidField(values, codes, 'must be ordered')]),
  ];
}

function successRuleErrors(rule: JsonObject, field: string, completions: number): readonly FieldError[] {
  const { succeededIndexes: indexes, succeededCount: count } = rule;
  if (indexes === undefined && count === undefined) {
    return [requiredField(field, 'at least one of succeededCount or succeededIndexes must be specified')];
  }
  const text = stringOf(indexes);
  const total = countIndexes(text, completions);
  const over = (max: number, what: string): readonly FieldError[] =>
    numberOf(count) > max
      ? [
          invalidField(
            `${field}.succeededCount`,
            count,
            `must be less than or equal to ${max} (the number of ${what})`,
          ),
        ]
      : [];
  const negative = 'must be greater than or equal to 0';
  return [
    ...(text.length > indexesLengthMax ? [tooLongField(`${field}.succeededIndexes`, indexesLengthMax)] : []),
    ...(typeof total === 'string'
      ? [invalidField(`${field}.succeededIndexes`, text, `error parsing succeededIndexes: ${total}`)]
      : []),
    ...(numberOf(count) < 0 ? [invalidField(`${field}.succeededCount`, count, negative)] : []),
    ...over(completions, 'specified completions'),
    ...(indexes === undefined
      ? []
      : over(typeof total === 'string' ? 0 : total, 'indexes in the specified succeededIndexes field')),
  ];
}

function tooMany(items: readonly unknown[], max: number, field: string): readonly FieldError[] {
  const { length } = items;
  return length > max
    ? [{ type: 'TooMany', field, detail: `${length}: must have at most ${max} items` }]
    : [];
}

/** As Go's field.OmitValueType: the complaint does not show the value. */
function withoutValue(field: string, detail: string): FieldError {
  return { type: 'Invalid', field, detail, omitsValue: true };
}
