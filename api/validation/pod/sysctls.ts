import { duplicateField, invalidField, type FieldError } from '#api/errors/field-error.ts';
import { objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isSysctlName, sysctlNameFormat, sysctlNameMax } from '#api/pod/sysctls.ts';

/** Complaints about the names of a pod's kernel parameters; that there is one is the schema's. Which a pod may set, its node says. */
export function sysctlErrors(context: JsonObject, path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return objectsOf(context['sysctls']).flatMap((sysctl, index) => {
    const name = stringOf(sysctl['name']);
    if (name === '') return [];
    const field = `${path}.sysctls[${index}].name`;
    const isDuplicate = seen.has(name);
    seen.add(name);
    if (!isSysctlName(name)) {
      const text = `must have at most ${sysctlNameMax} characters and match regex ${sysctlNameFormat}`;
      return [invalidField(field, name, text)];
    }
    return isDuplicate ? [duplicateField(field, name)] : [];
  });
}
