import { requiredField, type FieldError } from '#api/errors/field-error.ts';
import { isObject, typed } from '#api/wire/json.ts';
import type { LabelSelector } from '#api/generated/objects.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';

/** A LabelSelector, which may be absent. */
export function labelSelectorErrors(selector: unknown, field: string): readonly FieldError[] {
  if (!isObject(selector)) return [];
  const matcher = labelSelectorFromObject(typed<LabelSelector>(selector));
  return matcher.requirements.flatMap(({ operator, values, key }) => {
    const needsValues = operator === 'In' || operator === 'NotIn';
    if (needsValues && values.length === 0) {
      return [
        requiredField(
          `${field}.matchExpressions[${key}].values`,
          "must be specified when `operator` is 'In' or 'NotIn'",
        ),
      ];
    }
    return [];
  });
}
