import type { CelType } from '#api/cel/check/cel-type.ts';

/** The name in JSON of a field of a value of that type. */
export function propertyOf(type: CelType, field: string): string {
  return type.kind === 'object' ? (type.fieldOf(field)?.property ?? field) : field;
}
