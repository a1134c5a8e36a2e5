import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, isObject, listOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatErrors, labelValue, qualifiedName } from './format.ts';
import { labelErrors } from './labels.ts';

/** A LabelSelector, which may be absent (ValidateLabelSelector of k8s.io/apimachinery). */
export function labelSelectorErrors(selector: unknown, field: string): readonly FieldError[] {
  if (!isObject(selector)) return [];
  return [
    ...labelErrors(selector['matchLabels'], `${field}.matchLabels`),
    ...objectsOf(at(selector, 'matchExpressions')).flatMap((requirement, index) =>
      requirementErrors(requirement, `${field}.matchExpressions[${index}]`),
    ),
  ];
}

function requirementErrors(requirement: JsonObject, path: string): readonly FieldError[] {
  return [
    ...operatorErrors(requirement, path),
    ...formatErrors(`${path}.key`, stringOf(requirement['key']), qualifiedName),
    ...listOf(requirement['values']).flatMap((value, index) =>
      formatErrors(`${path}.values[${index}]`, stringOf(value), labelValue),
    ),
  ];
}

function operatorErrors({ operator, values }: JsonObject, path: string): readonly FieldError[] {
  const field = `${path}.values`;
  const count = listOf(values).length;
  if (operator === 'In' || operator === 'NotIn') {
    const detail = "must be specified when `operator` is 'In' or 'NotIn'";
    return count === 0 ? [requiredField(field, detail)] : [];
  }
  if (operator === 'Exists' || operator === 'DoesNotExist') {
    const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    return count === 0 ? [] : [forbiddenField(field, detail)];
  }
  return [invalidField(`${path}.operator`, operator ?? '', 'not a valid selector operator')];
}
