import { invalidField, type FieldError } from '#api/errors/field-error.ts';

/** A path that does not go up (validatePathNoBacksteps). */
export function backstepErrors(path: string, field: string): readonly FieldError[] {
  return path.split('/').includes('..') ? [invalidField(field, path, "must not contain '..'")] : [];
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
