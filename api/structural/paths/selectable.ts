import type { JsonObject } from '#api/meta/object.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';

/** A field that selectors of a custom kind know. */
export interface SelectableCustomField {
  /** As selectors write it: `spec.color`. */
  readonly label: string;
  /** Its text; '' where it is not there. */
  readonly valueOf: (object: JsonObject) => string;
}

/** The fields of `selectableFields` of a version. */
export function selectableCustomFields(selectableFields: unknown): readonly SelectableCustomField[] {
  return objectsOf(selectableFields)
    .map(({ jsonPath }) => stringOf(jsonPath).replace(/^\./, ''))
    .filter((label) => label !== '')
    .map((label) => {
      const path = label.split('.');
      return { label, valueOf: (object) => textOf(at(object, path)) };
    });
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
