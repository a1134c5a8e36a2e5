import { invalidField, requiredField, tooLongField, type FieldError } from '#api/errors/field-error.ts';
import { isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { localPathErrors } from './container.ts';

/** PATH_MAX of linux/limits.h, without its end. */
const profileBytesMax = 4095;

/** Complaints about seccomp and AppArmor profiles of a pod and of its containers (ValidateSeccompProfileField, ValidateAppArmorProfileField). */
export function profileErrors(spec: JsonObject, path: string): readonly FieldError[] {
  return [
    ...contextErrors(spec['securityContext'], `${path}.securityContext`),
    ...['initContainers', 'containers'].flatMap((list) =>
      objectsOf(spec[list]).flatMap((container, index) =>
        contextErrors(container['securityContext'], `${path}.${list}[${index}].securityContext`),
      ),
    ),
  ];
}

/** Of one security context: a pod's, or a container's. Values of the types are the schema's. */
export function contextErrors(context: unknown, field: string): readonly FieldError[] {
  if (!isObject(context)) return [];
  const [seccomp, appArmor] = [context['seccompProfile'], context['appArmorProfile']];
  return [
    ...(isObject(seccomp) ? seccompErrors(seccomp, `${field}.seccompProfile`) : []),
    ...(isObject(appArmor) ? appArmorErrors(appArmor, `${field}.appArmorProfile`) : []),
  ];
}

function seccompErrors(profile: JsonObject, field: string): readonly FieldError[] {
  const { type, localhostProfile } = profile;
  const place = `${field}.localhostProfile`;
  const isGiven = typeof localhostProfile === 'string';
  if (stringOf(type) === '') {
    return [requiredField(`${field}.type`, 'type is required when seccompProfile is set')];
  }
  if (type !== 'Localhost') {
    return isGiven ? [invalidField(place, profile, 'can only be set when seccomp type is Localhost')] : [];
  }
  if (!isGiven) return [requiredField(place, 'must be set when seccomp type is Localhost')];
  return localPathErrors(localhostProfile, place);
}

function appArmorErrors(profile: JsonObject, field: string): readonly FieldError[] {
  const { type, localhostProfile } = profile;
  const place = `${field}.localhostProfile`;
  const isGiven = typeof localhostProfile === 'string';
  if (stringOf(type) === '') {
    return [requiredField(`${field}.type`, 'type is required when appArmorProfile is set')];
  }
  if (type !== 'Localhost') {
    return isGiven
      ? [invalidField(place, localhostProfile, 'can only be set when AppArmor type is Localhost')]
      : [];
  }
  const missing = 'must be set when AppArmor type is Localhost';
  if (!isGiven) return [requiredField(place, missing)];
  const errors: FieldError[] = [];
  if (localhostProfile.trim() !== localhostProfile) {
    errors.push(invalidField(place, localhostProfile, 'must not be padded with whitespace'));
  } else if (localhostProfile === '') errors.push(requiredField(place, missing));
  if (Buffer.byteLength(localhostProfile) > profileBytesMax)
    errors.push(tooLongField(place, profileBytesMax));
  return errors;
}
