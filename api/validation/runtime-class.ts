import { duplicateStruct, type FieldError } from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { dnsLabel, formatErrors } from './format.ts';
import { labelErrors } from './labels.ts';
import { resourceErrors } from './pod/resources.ts';
import { tolerationErrors } from './pod/tolerations.ts';

/** Complaints about a RuntimeClass. */
export function validateRuntimeClass(runtimeClass: JsonObject): readonly FieldError[] {
  const handler = stringOf(runtimeClass['handler']);
  const tolerations = objectsOf(at(runtimeClass, 'scheduling.tolerations'));
  return [
    ...formatErrors('handler', handler, dnsLabel),
    ...resourceErrors({ limits: objectOf(at(runtimeClass, 'overhead.podFixed')) }, 'overhead', new Set()),
    ...labelErrors(at(runtimeClass, 'scheduling.nodeSelector'), 'scheduling.nodeSelector'),
    ...tolerationErrors(tolerations, 'scheduling.tolerations'),
    ...repeatedErrors(tolerations, 'scheduling.tolerations'),
  ];
}

/** Each once, whatever its seconds are. */
function repeatedErrors(tolerations: readonly JsonObject[], path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return tolerations.flatMap((toleration, index) => {
    const key = JSON.stringify(
      ['key', 'operator', 'value', 'effect'].map((name) => stringOf(toleration[name])),
    );
    const isAgain = seen.has(key);
    seen.add(key);
    return isAgain ? [duplicateStruct(`${path}[${index}]`, goStruct('Toleration', toleration))] : [];
  });
}
