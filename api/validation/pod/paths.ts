import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { givenChoiceErrors } from '#api/validation/field.ts';
import { stringOf } from '#api/wire/json.ts';

/** A path that does not go up (validatePathNoBacksteps). */
export function backstepErrors(path: string, field: string): readonly FieldError[] {
  return path.split('/').includes('..') ? [invalidField(field, path, "must not contain '..'")] : [];
}

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

/** A path of the host, and what is to be there (validateHostPathVolumeSource). */
export function hostPathErrors(source: JsonObject, path: string): readonly FieldError[] {
  const place = stringOf(source['path']);
  if (place === '') return [requiredField(`${path}.path`)];
  return [
    ...backstepErrors(place, `${path}.path`),
    ...givenChoiceErrors(`${path}.type`, source['type'], hostPathTypes),
  ];
}

/** A path within a volume: relative, and not up and out of it (validateLocalDescendingPath). */
export function localPathErrors(path: string, field: string): readonly FieldError[] {
  return [
    ...(path.startsWith('/') ? [invalidField(field, path, 'must be a relative path')] : []),
    ...backstepErrors(path, field),
  ];
}

/**
 * The path of a file that the kubelet writes: names that begin with two dots are those of the directories by which a volume is
 * switched (ValidateLocalNonReservedPath).
 */
export function filePathErrors(path: string, field: string): readonly FieldError[] {
  const isReserved = path.startsWith('..') && !path.startsWith('../');
  return [
    ...localPathErrors(path, field),
    ...(isReserved ? [invalidField(field, path, "must not start with '..'")] : []),
  ];
}

/** Permission bits of a file. */
export function modeErrors(mode: unknown, field: string): readonly FieldError[] {
  return typeof mode !== 'number' || (mode >= 0 && mode <= 0o777)
    ? []
    : [invalidField(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive')];
}
