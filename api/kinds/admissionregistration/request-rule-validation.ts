import { invalidField, notSupportedField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, listOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, repeatedErrors, when } from '#api/validation/field.ts';
import { formatErrors, pathSegment } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';

const scopes = ['*', 'Cluster', 'Namespaced'];
const operationChoices = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
/** What a mutation can be made of. */
const mutableOperations = ['*', 'CONNECT', 'CREATE', 'UPDATE'];
const matchPolicies = ['Equivalent', 'Exact'];

/** Complaints about how requests are matched, said by `matchPolicy`. */
export function matchPolicyErrors(policy: unknown, path: string): readonly FieldError[] {
  return givenChoiceErrors(`${path}.matchPolicy`, policy, matchPolicies);
}

/** Which requests a policy is about: MatchResources (kubernetes pkg/apis/admissionregistration/validation). */
export function matchResourcesErrors(match: unknown, path: string): readonly FieldError[] {
  if (!isObject(match)) return [];
  const named = (list: string): readonly FieldError[] =>
    objectsOf(match[list]).flatMap((rule, index) => namedRuleErrors(rule, `${path}.${list}[${index}]`));
  return [
    ...matchPolicyErrors(match['matchPolicy'], path),
    ...labelSelectorErrors(match['namespaceSelector'], `${path}.namespaceSelector`),
    ...labelSelectorErrors(match['objectSelector'], `${path}.objectSelector`),
    ...named('resourceRules'),
    ...named('excludeResourceRules'),
  ];
}

/** Requests that cannot be changed are none of a mutation's. */
export function mutableOperationErrors(match: unknown, path: string): readonly FieldError[] {
  if (!isObject(match)) return [];
  return objectsOf(match['resourceRules'])
    .flatMap(({ operations }) => listOf(operations))
    .filter((operation) => !mutableOperations.includes(stringOf(operation)))
    .map((operation) => notSupportedField(`${path}.resourceRules.operations`, operation, mutableOperations));
}

function namedRuleErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const names = listOf(rule['resourceNames']);
  const fieldOf = (index: number): string => `${path}.resourceNames[${index}]`;
  const seen = new Set<unknown>();
  return [
    ...names.flatMap((name, index) => {
      const repeated = seen.has(name) ? repeatedErrors([name, name], () => fieldOf(index)) : [];
      seen.add(name);
      return [...formatErrors(fieldOf(index), stringOf(name), pathSegment), ...repeated];
    }),
    ...requestRuleErrors(rule, path),
  ];
}

/** Operations on resources of groups and versions: RuleWithOperations. */
export function requestRuleErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const { operations, apiGroups, apiVersions, resources, scope } = rule;
  return [
    ...listErrors(operations, `${path}.operations`, 'operations'),
    ...listOf(operations).flatMap((operation, index) =>
      givenChoiceErrors(`${path}.operations[${index}]`, operation, operationChoices),
    ),
    ...listErrors(apiGroups, `${path}.apiGroups`, 'API groups'),
    ...listErrors(apiVersions, `${path}.apiVersions`, 'API versions'),
    ...emptyErrors(apiVersions, `${path}.apiVersions`),
    ...resourceErrors(listOf(resources).map(stringOf), `${path}.resources`),
    ...givenChoiceErrors(`${path}.scope`, scope, scopes),
  ];
}

/** A list that is not empty, and has nothing beside `*`. */
function listErrors(list: unknown, field: string, what: string): readonly FieldError[] {
  const values = listOf(list);
  if (values.length === 0) return [requiredField(field)];
  return when(values.length > 1 && values.includes('*'), () =>
    invalidField(field, values, `if '*' is present, must not specify other ${what}`),
  );
}

function emptyErrors(list: unknown, field: string): readonly FieldError[] {
  return listOf(list).flatMap((value, index) =>
    when(value === '', () => requiredField(`${field}[${index}]`)),
  );
}

/** Resources, with subresources behind a slash: what an earlier one with `*` stands for is not said again. */
function resourceErrors(resources: readonly string[], field: string): readonly FieldError[] {
  const wholes = new Set<string>();
  const subresources = new Set<string>();
  const each = resources.flatMap((text, index): readonly FieldError[] => {
    const place = `${field}[${index}]`;
    if (text === '') return [requiredField(place)];
    const slash = text.indexOf('/');
    if (slash < 0) return [];
    const [resource, subresource] = [text.slice(0, slash), text.slice(slash + 1)];
    const errors = [
      ...when(wholes.has(resource), () =>
        invalidField(place, text, `if '${resource}/*' is present, must not specify ${text}`),
      ),
      ...when(subresources.has(subresource), () =>
        invalidField(place, text, `if '*/${subresource}' is present, must not specify ${text}`),
      ),
    ];
    if (subresource === '*') wholes.add(resource);
    if (resource === '*') subresources.add(subresource);
    return errors;
  });
  // kube-apiserver goes by the last that has no subresource.
  const last = resources.findLast((text) => text !== '' && !text.includes('/'));
  const withoutSubresources = "if '*' is present, must not specify other resources without subresources";
  return [
    ...when(resources.length === 0, () => requiredField(field)),
    ...each,
    ...when(resources.length > 1 && resources.includes('*/*'), () =>
      invalidField(field, resources, "if '*/*' is present, must not specify other resources"),
    ),
    ...when(resources.includes('*') && last !== undefined && last !== '*', () =>
      invalidField(field, resources, withoutSubresources),
    ),
  ];
}
