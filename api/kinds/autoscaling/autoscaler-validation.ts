import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatQuantity, tryParseQuantity } from '#api/meta/quantity.ts';
import { givenChoiceErrors, negativeErrors } from '#api/validation/field.ts';
import { dnsLabel, formatErrors, pathSegment, requiredText } from '#api/validation/format.ts';
import { containerResourceErrors } from '#api/validation/resource-name.ts';

/** Complaints about a HorizontalPodAutoscaler of autoscaling/v2, as which all versions are looked at. */
export function autoscalerErrors(spec: JsonObject): readonly FieldError[] {
  return [
    ...replicaErrors(spec),
    ...referenceErrors(objectOf(spec['scaleTargetRef']), 'spec.scaleTargetRef'),
    ...objectsOf(spec['metrics']).flatMap((metric, index) => metricErrors(metric, `spec.metrics[${index}]`)),
    ...['scaleUp', 'scaleDown'].flatMap((name) => {
      const rules = at(spec, ['behavior', name]);
      return isObject(rules) ? scalingErrors(rules, `spec.behavior.${name}`) : [];
    }),
  ];
}

/** Complaints about its status. */
export function autoscalerStatusErrors(object: JsonObject): readonly FieldError[] {
  return negativeErrors(objectOf(object['status']), ['currentReplicas', 'desiredReplicas'], 'status');
}

function replicaErrors({ minReplicas, maxReplicas }: JsonObject): readonly FieldError[] {
  const [min, max] = [minReplicas ?? 1, numberOf(maxReplicas)];
  const field = 'spec.maxReplicas';
  return [
    ...(numberOf(min) < 1
      ? [invalidField('spec.minReplicas', minReplicas, 'must be greater than or equal to 1')]
      : []),
    ...(max < 1 ? [invalidField(field, max, 'must be greater than 0')] : []),
    ...(minReplicas !== undefined && max < numberOf(min)
      ? [invalidField(field, max, 'must be greater than or equal to `minReplicas`')]
      : []),
  ];
}

/** What is scaled, or measured (ValidateCrossVersionObjectReference). */
function referenceErrors(reference: JsonObject, path: string): readonly FieldError[] {
  return [
    ...requiredText(reference, 'kind', path, pathSegment),
    ...requiredText(reference, 'name', path, pathSegment),
  ];
}

function versionErrors(reference: JsonObject, path: string, hasGroup: boolean): readonly FieldError[] {
  const version = stringOf(reference['apiVersion']);
  const parts = version.split('/');
  const wrong = (detail: string): readonly FieldError[] => [
    invalidField(`${path}.apiVersion`, version, detail),
  ];
  if (parts.length > 2) return wrong(`unexpected GroupVersion string: ${version}`);
  const group = parts.length === 2 ? parts[0] : '';
  return hasGroup && group === '' ? wrong('apiVersion must specify API group') : [];
}

/** Complaints about the version of what a new autoscaler scales: of the core group nothing can be, but ReplicationControllers. */
export function targetVersionErrors(object: JsonObject): readonly FieldError[] {
  const path = 'spec.scaleTargetRef';
  const target = objectOf(at(object, path));
  return versionErrors(target, path, target['kind'] !== 'ReplicationController');
}

/** The same of one that scales something else than before. */
export function targetUpdateErrors(old: JsonObject, object: JsonObject): readonly FieldError[] {
  const isSame = ['apiVersion', 'kind'].every(
    (name) => at(old, ['spec', 'scaleTargetRef', name]) === at(object, ['spec', 'scaleTargetRef', name]),
  );
  return isSame ? [] : targetVersionErrors(object);
}

type Source = (source: JsonObject, path: string) => readonly FieldError[];

/** Kinds of metrics by their types, in the order in which upstream looks for them: the first is the one that counts. */
const sources: readonly (readonly [field: string, type: string, check: Source])[] = [
  ['object', 'Object', objectErrors],
  ['external', 'External', externalErrors],
  ['pods', 'Pods', podsErrors],
  ['resource', 'Resource', resourceErrors],
  ['containerResource', 'ContainerResource', containerErrors],
];
const types = sources.map(([, type]) => type).toSorted();

function metricErrors(metric: JsonObject, path: string): readonly FieldError[] {
  const type = stringOf(metric['type']);
  const unsupported = types.includes(type) ? [] : [notSupportedField(`${path}.type`, type, types)];
  const given = sources.filter(([field]) => isObject(metric[field]));
  const [first] = given;
  const expected = sources.find(([, name]) => name === type)?.[0];
  return [
    ...(type === '' ? [requiredField(`${path}.type`, 'must specify a metric source type')] : []),
    ...unsupported,
    ...(first === undefined ? [] : first[2](objectOf(metric[first[0]]), `${path}.${first[0]}`)),
    ...(expected === undefined || isObject(metric[expected])
      ? unsupported
      : [requiredField(`${path}.${expected}`, 'must populate information for the given metric source')]),
    ...(given.length > 1 ? given : []).flatMap(([field]) =>
      field === expected
        ? []
        : [forbiddenField(`${path}.${field}`, 'must populate the given metric source only')],
    ),
  ];
}

function objectErrors(source: JsonObject, path: string): readonly FieldError[] {
  const target = objectOf(source['target']);
  const described = objectOf(source['describedObject']);
  const none = 'must set either a target value or averageValue';
  return [
    ...referenceErrors(described, `${path}.describedObject`),
    ...versionErrors(described, `${path}.describedObject`, false),
    ...namedErrors(source, path),
    ...(hasOne(target, ['value', 'averageValue'])
      ? []
      : [requiredField(`${path}.target.averageValue`, none)]),
  ];
}

function externalErrors(source: JsonObject, path: string): readonly FieldError[] {
  const target = objectOf(source['target']);
  const [none, both] = ['must set either', 'may not set both'];
  const ends = [
    'a target value for metric or a per-pod target',
    'a target value for metric and a per-pod target',
  ];
  return [
    ...namedErrors(source, path),
    ...(hasOne(target, ['value', 'averageValue'])
      ? []
      : [requiredField(`${path}.target.averageValue`, `${none} ${ends[0]}`)]),
    ...(target['value'] !== undefined && target['averageValue'] !== undefined
      ? [forbiddenField(`${path}.target.value`, `${both} ${ends[1]}`)]
      : []),
  ];
}

function podsErrors(source: JsonObject, path: string): readonly FieldError[] {
  const detail = 'must specify a positive target averageValue';
  return [
    ...namedErrors(source, path),
    ...(at(source, 'target.averageValue') === undefined
      ? [requiredField(`${path}.target.averageValue`, detail)]
      : []),
  ];
}

function resourceErrors(source: JsonObject, path: string): readonly FieldError[] {
  return [
    ...(stringOf(source['name']) === ''
      ? [requiredField(`${path}.name`, 'must specify a resource name')]
      : []),
    ...usageErrors(objectOf(source['target']), `${path}.target`),
  ];
}

function containerErrors(source: JsonObject, path: string): readonly FieldError[] {
  const [name, container] = [stringOf(source['name']), stringOf(source['container'])];
  return [
    ...(name === ''
      ? [requiredField(`${path}.name`, 'must specify a resource name')]
      : containerResourceErrors(`${path}.name`, name)),
    ...(container === ''
      ? [requiredField(`${path}.container`, 'must specify a container')]
      : formatErrors(`${path}.container`, container, dnsLabel)),
    ...usageErrors(objectOf(source['target']), `${path}.target`),
  ];
}

/** Of a resource a share of what was asked for, or an amount. */
function usageErrors(target: JsonObject, path: string): readonly FieldError[] {
  const { averageUtilization: share, averageValue: amount } = target;
  const none = 'must set either a target raw value or a target utilization';
  const both = 'may not set both a target raw value and a target utilization';
  return [
    ...targetErrors(target, path),
    ...(share === undefined && amount === undefined
      ? [requiredField(`${path}.averageUtilization`, none)]
      : []),
    ...(share !== undefined && amount !== undefined ? [forbiddenField(`${path}.averageValue`, both)] : []),
  ];
}

function hasOne(target: JsonObject, names: readonly string[]): boolean {
  return names.some((name) => target[name] !== undefined);
}

/** A metric by its name, and what it is to be. */
function namedErrors(source: JsonObject, path: string): readonly FieldError[] {
  const name = stringOf(at(source, 'metric.name'));
  const field = `${path}.metric.name`;
  return [
    ...(name === ''
      ? [requiredField(field, 'must specify a metric name')]
      : formatErrors(field, name, pathSegment)),
    ...targetErrors(objectOf(source['target']), `${path}.target`),
  ];
}

function targetErrors(target: JsonObject, path: string): readonly FieldError[] {
  const type = stringOf(target['type']);
  const { averageUtilization: share } = target;
  const isKnown = ['Utilization', 'Value', 'AverageValue'].includes(type);
  const unknown = 'must be either Utilization, Value, or AverageValue';
  return [
    ...(type === '' ? [requiredField(`${path}.type`, 'must specify a metric target type')] : []),
    ...(isKnown ? [] : [invalidField(`${path}.type`, type, unknown)]),
    ...['value', 'averageValue'].flatMap((name) => {
      const amount = tryParseQuantity(target[name]);
      return amount === undefined || amount.nanos > 0n
        ? []
        : [invalidField(`${path}.${name}`, formatQuantity(amount), 'must be positive')];
    }),
    ...(typeof share === 'number' && share < 1
      ? [invalidField(`${path}.averageUtilization`, share, 'must be greater than 0')]
      : []),
  ];
}

/** Seconds at most (autoscaling/validation MaxPeriodSeconds, MaxStabilizationWindowSeconds). */
const periodSecondsMax = 1800;
const windowSecondsMax = 3600;

function scalingErrors(rules: JsonObject, path: string): readonly FieldError[] {
  const window = rules['stabilizationWindowSeconds'];
  const [field, policies] = [`${path}.stabilizationWindowSeconds`, objectsOf(rules['policies'])];
  const tolerance = tryParseQuantity(rules['tolerance']);
  return [
    ...(numberOf(window) < 0 ? [invalidField(field, window, 'must be greater than or equal to zero')] : []),
    ...(numberOf(window) > windowSecondsMax
      ? [invalidField(field, window, `must be less than or equal to ${windowSecondsMax}`)]
      : []),
    ...givenChoiceErrors(`${path}.selectPolicy`, rules['selectPolicy'], ['Disabled', 'Max', 'Min']),
    ...(policies.length === 0 ? [requiredField(`${path}.policies`, 'must specify at least one Policy')] : []),
    ...policies.flatMap((policy, index) => policyErrors(policy, `${path}.policies[${index}]`)),
    ...(tolerance !== undefined && tolerance.nanos < 0n
      ? [invalidField(`${path}.tolerance`, formatQuantity(tolerance), 'must be greater than or equal to 0')]
      : []),
  ];
}

function policyErrors(policy: JsonObject, path: string): readonly FieldError[] {
  const type = stringOf(policy['type']);
  const seconds = numberOf(policy['periodSeconds']);
  const allowed = ['Percent', 'Pods'];
  return [
    ...(allowed.includes(type) ? [] : [notSupportedField(`${path}.type`, type, allowed)]),
    ...['value', 'periodSeconds'].flatMap((name) =>
      numberOf(policy[name]) > 0
        ? []
        : [invalidField(`${path}.${name}`, policy[name] ?? 0, 'must be greater than zero')],
    ),
    ...(seconds > periodSecondsMax
      ? [invalidField(`${path}.periodSeconds`, seconds, `must be less than or equal to ${periodSecondsMax}`)]
      : []),
  ];
}
