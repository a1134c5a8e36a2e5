import type { FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { dnsLabel, formatErrors } from './format.ts';
import { labelErrors } from './labels.ts';
import { resourceErrors } from './pod/resources.ts';
import { tolerationErrors } from './pod/tolerations.ts';

/** Complaints about a RuntimeClass. */
export function validateRuntimeClass(runtimeClass: JsonObject): readonly FieldError[] {
  const handler = stringOf(runtimeClass['handler']);
  return [
    ...formatErrors('handler', handler, dnsLabel),
    ...resourceErrors(
      { limits: objectOf(at(runtimeClass, 'overhead.podFixed')) },
      'overhead.podFixed',
      new Set(),
    ),
    ...labelErrors(at(runtimeClass, 'scheduling.nodeSelector'), 'scheduling.nodeSelector'),
    ...tolerationErrors(objectsOf(at(runtimeClass, 'scheduling.tolerations')), 'scheduling.tolerations'),
  ];
}
