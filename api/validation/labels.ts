import { tooLongField, type FieldError } from '#api/errors/field-error.ts';
import { stringMapOf } from '#api/wire/json.ts';
import { formatErrors, labelValue, qualifiedName } from './format.ts';

/** All annotations of an object together, keys and values. */
export const annotationByteCountMax = 262_144;

/** Labels of an object or pod template. */
export function labelErrors(labels: unknown, field: string): readonly FieldError[] {
  return Object.entries(stringMapOf(labels)).flatMap(([key, value]) => [
    ...formatErrors(field, key, qualifiedName),
    ...formatErrors(field, value, labelValue),
  ]);
}

/** Annotations of an object or pod template. */
export function annotationErrors(annotations: unknown, field: string): readonly FieldError[] {
  const entries = Object.entries(stringMapOf(annotations));
  const size = entries.reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  return [
    ...entries.flatMap(([key]) => formatErrors(field, key, (text) => qualifiedName(text.toLowerCase()))),
    ...(size > annotationByteCountMax ? [tooLongField(field, annotationByteCountMax)] : []),
  ];
}
