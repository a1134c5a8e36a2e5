import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { isObject, listOf, numberOf, objectOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { dnsLabel, dnsSubdomain, formatErrors, labelValue, qualifiedName } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';

const required = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';

/** Complaints about where a pod goes by the labels of nodes, and by what runs there (validateAffinity). */
export function affinityErrors(affinity: JsonObject, path: string, labels: PodLabels): readonly FieldError[] {
  const node = objectOf(affinity['nodeAffinity']);
  const selector = node[required];
  return [
    ...(isObject(selector) ? nodeSelectorErrors(selector, `${path}.nodeAffinity.${required}`) : []),
    ...objectsOf(node[preferred]).flatMap((term, index) => {
      const place = `${path}.nodeAffinity.${preferred}[${index}]`;
      return [
        ...weightErrors(term, place),
        ...nodeTermErrors(objectOf(term['preference']), `${place}.preference`, false),
      ];
    }),
    ...['podAffinity', 'podAntiAffinity'].flatMap((name) =>
      podAffinityErrors(objectOf(affinity[name]), `${path}.${name}`, labels),
    ),
  ];
}

function weightErrors(term: JsonObject, path: string): readonly FieldError[] {
  const weight = numberOf(term['weight']);
  return weight > 0 && weight <= 100
    ? []
    : [invalidField(`${path}.weight`, weight, 'must be in the range 1-100')];
}

/** A choice of nodes (ValidateNodeSelector). */
export function nodeSelectorErrors(selector: JsonObject, path: string): readonly FieldError[] {
  const terms = objectsOf(selector['nodeSelectorTerms']);
  const field = `${path}.nodeSelectorTerms`;
  if (terms.length === 0) return [requiredField(field, 'must have at least one node selector term')];
  return terms.flatMap((term, index) => nodeTermErrors(term, `${field}[${index}]`, true));
}

/** One term of it; preferences may name values that no label has (ValidateNodeSelectorTerm). */
export function nodeTermErrors(
  term: JsonObject,
  path: string,
  hasStrictValues: boolean,
): readonly FieldError[] {
  return [
    ...objectsOf(term['matchExpressions']).flatMap((requirement, index) =>
      requirementErrors(requirement, `${path}.matchExpressions[${index}]`, hasStrictValues),
    ),
    ...objectsOf(term['matchFields']).flatMap((requirement, index) =>
      fieldErrors(requirement, `${path}.matchFields[${index}]`),
    ),
  ];
}

function requirementErrors(
  requirement: JsonObject,
  path: string,
  hasStrictValues: boolean,
): readonly FieldError[] {
  const values = listOf(requirement['values']).map(stringOf);
  return [
    ...operatorErrors(stringOf(requirement['operator']), values.length, path),
    ...formatErrors(`${path}.key`, stringOf(requirement['key']), qualifiedName),
    ...(hasStrictValues
      ? values.flatMap((value, index) => formatErrors(`${path}.values[${index}]`, value, labelValue))
      : []),
  ];
}

function operatorErrors(operator: string, count: number, path: string): readonly FieldError[] {
  const field = `${path}.values`;
  switch (operator) {
    case 'In':
    case 'NotIn':
      return count > 0 ? [] : [requiredField(field, "must be specified when `operator` is 'In' or 'NotIn'")];
    case 'Exists':
    case 'DoesNotExist':
      return count === 0
        ? []
        : [forbiddenField(field, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")];
    case 'Gt':
    case 'Lt':
      return count === 1
        ? []
        : [requiredField(field, "must be specified single value when `operator` is 'Lt' or 'Gt'")];
    default:
      return [invalidField(`${path}.operator`, operator, 'not a valid selector operator')];
  }
}

/** By a field of the node: its name. */
function fieldErrors(requirement: JsonObject, path: string): readonly FieldError[] {
  const [key, operator] = [stringOf(requirement['key']), stringOf(requirement['operator'])];
  const values = listOf(requirement['values']).map(stringOf);
  const one = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
  const isKnown = operator === 'In' || operator === 'NotIn';
  return [
    ...(isKnown ? [] : [invalidField(`${path}.operator`, operator, 'not a valid selector operator')]),
    ...(isKnown && values.length !== 1 ? [requiredField(`${path}.values`, one)] : []),
    ...(key === 'metadata.name'
      ? values.flatMap((value, index) => formatErrors(`${path}.values[${index}]`, value, dnsSubdomain))
      : [invalidField(`${path}.key`, key, 'not a valid field selector key')]),
  ];
}

function podAffinityErrors(affinity: JsonObject, path: string, labels: PodLabels): readonly FieldError[] {
  return [
    ...objectsOf(affinity[required]).flatMap((term, index) =>
      podTermErrors(term, `${path}.${required}[${index}]`, labels),
    ),
    ...objectsOf(affinity[preferred]).flatMap((term, index) => {
      const place = `${path}.${preferred}[${index}]`;
      return [
        ...weightErrors(term, place),
        ...podTermErrors(objectOf(term['podAffinityTerm']), `${place}.podAffinityTerm`, labels),
      ];
    }),
  ];
}

function podTermErrors(term: JsonObject, path: string, labels: PodLabels): readonly FieldError[] {
  const key = stringOf(term['topologyKey']);
  return [
    ...labelSelectorErrors(term['labelSelector'], `${path}.labelSelector`),
    ...labelSelectorErrors(term['namespaceSelector'], `${path}.namespaceSelector`),
    // The path is upstream's.
    ...listOf(term['namespaces']).flatMap((name) =>
      formatErrors(`${path}.namespace`, stringOf(name), dnsLabel),
    ),
    ...labelKeyErrors(term, path, labels),
    ...(key === '' ? [requiredField(`${path}.topologyKey`, 'can not be empty')] : []),
    ...formatErrors(`${path}.topologyKey`, key, qualifiedName),
  ];
}

/** The keys of a pod's labels; undefined in a template, whose pods are not made yet. */
export type PodLabels = ReadonlySet<string> | undefined;

/**
 * Keys of the pod's own labels that others are to have the same of, or not (ValidateMatchLabelKeysAndMismatchLabelKeys). Upstream
 * adds those of a pod to the selector first: what stands there already is there twice then.
 */
export function labelKeyErrors(holder: JsonObject, path: string, labels: PodLabels): readonly FieldError[] {
  const keys = listOf(holder['matchLabelKeys']).map(stringOf);
  const others = listOf(holder['mismatchLabelKeys']).map(stringOf);
  const selector = holder['labelSelector'];
  const listErrors = (list: readonly string[], name: string): readonly FieldError[] => {
    if (list.length === 0) return [];
    if (!isObject(selector)) {
      return [forbiddenField(`${path}.${name}`, 'must not be specified when labelSelector is not set')];
    }
    return list.flatMap((key, index) => formatErrors(`${path}.${name}[${index}]`, key, qualifiedName));
  };
  const selected = isObject(selector) ? selectedKeys(selector) : [];
  const [both, twice] = ['mismatchLabelKeys', 'labelSelector'].map(
    (name) => `exists in both matchLabelKeys and ${name}`,
  );
  return [
    ...listErrors(keys, 'matchLabelKeys'),
    ...listErrors(others, 'mismatchLabelKeys'),
    ...keys.flatMap((key, index) =>
      selected
        .filter((other) => other === key)
        .slice(labels?.has(key) === true ? 0 : 1)
        .map(() => invalidField(`${path}[${index}]`, key, twice ?? '')),
    ),
    ...keys.flatMap((key, index) =>
      others.includes(key) ? [invalidField(`${path}.matchLabelKeys[${index}]`, key, both ?? '')] : [],
    ),
  ];
}

function selectedKeys(selector: JsonObject): readonly string[] {
  return [
    ...Object.keys(stringMapOf(selector['matchLabels'])),
    ...objectsOf(selector['matchExpressions']).map(({ key }) => stringOf(key)),
  ];
}
