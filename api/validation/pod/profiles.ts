import {
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { isObject, stringOf } from '#api/wire/json.ts';
import { localPathErrors } from './paths.ts';

/** PATH_MAX of linux/limits.h, without its end. */
const profileBytesMax = 4095;
const types = ['Localhost', 'RuntimeDefault', 'Unconfined'];

/** Complaints about a seccomp profile (validateSeccompProfileField). */
export function seccompErrors(profile: unknown, field: string): readonly FieldError[] {
  if (!isObject(profile)) return [];
  const [type, path] = [stringOf(profile['type']), profile['localhostProfile']];
  const place = `${field}.localhostProfile`;
  const errors = typeErrors(type, `${field}.type`, 'seccompProfile');
  if (type !== 'Localhost') {
    const detail = 'can only be set when seccomp type is Localhost';
    return typeof path === 'string'
      ? [...errors, invalidStruct(place, goStruct('SeccompProfile', profile), detail)]
      : errors;
  }
  return typeof path === 'string'
    ? localPathErrors(path, place)
    : [requiredField(place, 'must be set when seccomp type is Localhost')];
}

/** Complaints about an AppArmor profile (ValidateAppArmorProfileField). */
export function appArmorErrors(profile: unknown, field: string): readonly FieldError[] {
  if (!isObject(profile)) return [];
  const [type, name] = [stringOf(profile['type']), profile['localhostProfile']];
  const place = `${field}.localhostProfile`;
  if (type !== 'Localhost') {
    const errors = typeErrors(type, `${field}.type`, 'appArmorProfile');
    const detail = 'can only be set when AppArmor type is Localhost';
    return errors.length > 0 || typeof name !== 'string' ? errors : [invalidField(place, name, detail)];
  }
  const missing = requiredField.bind(undefined, place, 'must be set when AppArmor type is Localhost');
  if (typeof name !== 'string') return [missing()];
  const isPadded = name.trim() !== name;
  return [
    ...(isPadded ? [invalidField(place, name, 'must not be padded with whitespace')] : []),
    ...(name === '' ? [missing()] : []),
    ...(Buffer.byteLength(name) > profileBytesMax ? [tooLongField(place, profileBytesMax)] : []),
  ];
}

function typeErrors(type: string, field: string, whose: string): readonly FieldError[] {
  if (type === '') return [requiredField(field, `type is required when ${whose} is set`)];
  return types.includes(type) ? [] : [notSupportedField(field, type, types)];
}
