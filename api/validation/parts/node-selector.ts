import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { listOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { when } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors, labelValue, qualifiedName } from '#api/validation/format.ts';

/** A choice of nodes (ValidateNodeSelector of kubernetes pkg/apis/core/validation). */
export function nodeSelectorErrors(selector: JsonObject, path: string): readonly FieldError[] {
  const terms = objectsOf(selector['nodeSelectorTerms']);
  const field = `${path}.nodeSelectorTerms`;
  if (terms.length === 0) return [requiredField(field, 'must have at least one node selector term')];
  return terms.flatMap((term, index) => [
    ...objectsOf(term['matchExpressions']).flatMap((requirement, place) =>
      labelErrors(requirement, `${field}[${index}].matchExpressions[${place}]`),
    ),
    ...objectsOf(term['matchFields']).flatMap((requirement, place) =>
      nameErrors(requirement, `${field}[${index}].matchFields[${place}]`),
    ),
  ]);
}

function labelErrors(requirement: JsonObject, path: string): readonly FieldError[] {
  const values = listOf(requirement['values']).map(stringOf);
  return [
    ...operatorErrors(stringOf(requirement['operator']), values.length, path),
    ...formatErrors(`${path}.key`, stringOf(requirement['key']), qualifiedName),
    ...values.flatMap((value, index) => formatErrors(`${path}.values[${index}]`, value, labelValue)),
  ];
}

function operatorErrors(operator: string, count: number, path: string): readonly FieldError[] {
  const field = `${path}.values`;
  switch (operator) {
    case 'In':
    case 'NotIn':
      return when(count === 0, () =>
        requiredField(field, "must be specified when `operator` is 'In' or 'NotIn'"),
      );
    case 'Exists':
    case 'DoesNotExist':
      return when(count > 0, () =>
        forbiddenField(field, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
      );
    case 'Gt':
    case 'Lt':
      return when(count !== 1, () =>
        requiredField(field, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
      );
    default:
      return [invalidField(`${path}.operator`, operator, 'not a valid selector operator')];
  }
}

/** A node by its name. */
function nameErrors(requirement: JsonObject, path: string): readonly FieldError[] {
  const [key, operator] = [stringOf(requirement['key']), stringOf(requirement['operator'])];
  const values = listOf(requirement['values']).map(stringOf);
  const one = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
  const isKnown = operator === 'In' || operator === 'NotIn';
  return [
    ...when(!isKnown, () => invalidField(`${path}.operator`, operator, 'not a valid selector operator')),
    ...when(isKnown && values.length !== 1, () => requiredField(`${path}.values`, one)),
    ...(key === 'metadata.name'
      ? values.flatMap((value, index) => formatErrors(`${path}.values[${index}]`, value, dnsSubdomain))
      : [invalidField(`${path}.key`, key, 'not a valid field selector key')]),
  ];
}
