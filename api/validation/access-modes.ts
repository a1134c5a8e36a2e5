import { requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, listOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** How a volume, or a claim of one, may be mounted. */
export function accessModeErrors(object: JsonObject): readonly FieldError[] {
  return listOf(at(object, 'spec.accessModes')).length === 0
    ? [requiredField('spec.accessModes', 'at least 1 access mode is required')]
    : [];
}
