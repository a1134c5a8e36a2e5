import {
  duplicateField,
  invalidField,
  invalidHidden,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tooManyErrors } from './field.ts';
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
    ...tooManyErrors(field, rules.length, ruleMax),
    ...rules.flatMap((rule, index) => [
      ...actionErrors(stringOf(rule['action']), spec, `${field}[${index}].action`),
      ...failureRuleErrors(rule, `${field}[${index}]`, names),
    ]),
  ];
}

const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore'];

function actionErrors(action: string, spec: JsonObject, field: string): readonly FieldError[] {
  if (action !== 'FailIndex') return listedErrors(field, action, actions);
  return spec['backoffLimitPerIndex'] === undefined
    ? [invalidField(field, action, 'requires the backoffLimitPerIndex to be set')]
    : [];
}

/** A value of a set; what may stand where there is none is listed as Go prints a list. */
function listedErrors(field: string, value: string, allowed: readonly string[]): readonly FieldError[] {
  if (value !== '') return allowed.includes(value) ? [] : [notSupportedField(field, value, allowed)];
  const list = allowed.map((text) => JSON.stringify(text)).join(' ');
  return [requiredField(field, `valid values: [${list}]`)];
}

/** Complaints about `successPolicy` of an Indexed job's spec at `path` (batch/v1 SuccessPolicy). */
export function successPolicyErrors(spec: JsonObject, path: string): readonly FieldError[] {
  if (spec['successPolicy'] === undefined) return [];
  const field = `${path}.successPolicy.rules`;
  const rules = objectsOf(at(spec, 'successPolicy.rules'));
  const empty = 'at least one rules must be specified when the successPolicy is specified';
  return [
    ...(rules.length === 0 ? [requiredField(field, empty)] : []),
    ...tooManyErrors(field, rules.length, ruleMax),
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
    const interval = parseInterval(part, completions);
    if (typeof interval === 'string') return interval;
    const [first, end] = interval;
    if (first <= last) return `non-increasing order, previous: ${last}, current: ${first}`;
    count += end - first + 1;
    last = end;
  }
  return count;
}

/** The first and the last index of each part of the text that is an interval. */
export function intervalsOf(text: string, completions: number): readonly (readonly [number, number])[] {
  if (text === '') return [];
  return text.split(',').flatMap((part) => {
    const interval = parseInterval(part, completions);
    return typeof interval === 'string' ? [] : [interval];
  });
}

/** `3` or `0-2`, or what is wrong with it. */
function parseInterval(part: string, completions: number): readonly [number, number] | string {
  const limits = part.split('-');
  if (limits.length > 2) {
    return `the fragment ${JSON.stringify(part)} violates the requirement that an index interval can have at most two parts separated by '-'`;
  }
  for (const limit of limits) {
    if (!/^\+?\d+$/.test(limit)) {
      return `cannot convert string to integer for index: ${JSON.stringify(limit)}`;
    }
    if (Number(limit) >= completions) return `too large index: ${JSON.stringify(limit)}`;
  }
  const [first = 0, last = first] = limits.map(Number);
  return limits.length === 2 && first >= last
    ? `non-increasing order, previous: ${first}, current: ${last}`
    : [first, last];
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
    ...tooManyErrors(`${field}.onPodConditions`, patterns.length, patternMax),
    ...patterns.flatMap((pattern, index) => conditionErrors(pattern, `${field}.onPodConditions[${index}]`)),
    ...(hasExitCodes && patterns.length > 0 ? [invalidHidden(field, both)] : []),
    ...(!hasExitCodes && patterns.length === 0 ? [invalidHidden(field, none)] : []),
  ];
}

function conditionErrors(pattern: JsonObject, field: string): readonly FieldError[] {
  const type = stringOf(pattern['type']);
  return [
    ...qualifiedName(type).map((detail) => invalidField(`${field}.type`, type, detail)),
    ...listedErrors(`${field}.status`, stringOf(pattern['status']), ['False', 'True', 'Unknown']),
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
    ...listedErrors(`${field}.operator`, stringOf(requirement['operator']), ['In', 'NotIn']),
    ...(name === undefined || containers.includes(stringOf(name))
      ? []
      : [invalidField(`${field}.containerName`, name, unknown)]),
    ...(codes.length === 0 ? [invalidField(values, codes, 'at least one value is required')] : []),
    ...tooManyErrors(values, codes.length, exitCodeMax),
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
