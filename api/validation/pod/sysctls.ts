import { duplicateField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  isSysctlName,
  normalizeSysctl,
  sysctlNameFormat,
  sysctlNameMax,
  sysctlNamespace,
} from '#api/pod/sysctls.ts';

/** Complaints about a pod's kernel parameters (validateSysctls). Which a pod may set, its node says. */
export function sysctlErrors(context: JsonObject, spec: JsonObject, path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return objectsOf(context['sysctls']).flatMap((sysctl, index) => {
    const name = stringOf(sysctl['name']);
    const field = `${path}[${index}].name`;
    const errors = nameErrors(name, field, seen);
    seen.add(name);
    return [...errors, ...hostErrors(name, spec, field)];
  });
}

function nameErrors(name: string, field: string, seen: ReadonlySet<string>): readonly FieldError[] {
  if (name === '') return [requiredField(field)];
  if (!isSysctlName(name)) {
    const text = `must have at most ${sysctlNameMax} characters and match regex ${sysctlNameFormat}`;
    return [invalidField(field, name, text)];
  }
  return seen.has(name) ? [duplicateField(field, name)] : [];
}

/** What a namespace holds apart is the host's own where the pod shares that (ValidateHostSysctl). */
function hostErrors(name: string, spec: JsonObject, field: string): readonly FieldError[] {
  const namespace = sysctlNamespace(normalizeSysctl(name));
  const shared = { net: 'hostNetwork', ipc: 'hostIPC' };
  const whose = namespace === undefined ? undefined : shared[namespace];
  return whose !== undefined && spec[whose] === true
    ? [invalidField(field, name, `may not be specified when '${whose}' is true`)]
    : [];
}
