import {
  forbiddenField,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { dnsLabel, dnsSubdomain, domainPrefixedPathErrors, formatErrors, pathSegment } from './format.ts';

/** Bytes of the name of a controller (kubernetes pkg/apis/networking/validation). */
const controllerLengthMax = 250;
const scopes = ['Cluster', 'Namespace'];

/** Complaints about an IngressClass. */
export function validateIngressClass(ingressClass: JsonObject): readonly FieldError[] {
  const controller = stringOf(at(ingressClass, 'spec.controller'));
  const isLong = Buffer.byteLength(controller) > controllerLengthMax;
  return [
    ...(isLong ? [tooLongField('spec.controller', controllerLengthMax)] : []),
    ...domainPrefixedPathErrors('spec.controller', controller),
    ...parametersErrors(at(ingressClass, 'spec.parameters'), 'spec.parameters'),
  ];
}

function parametersErrors(parameters: unknown, path: string): readonly FieldError[] {
  if (!isObject(parameters)) return [];
  return [...typedReferenceErrors(parameters, path), ...scopeErrors(parameters, path)];
}

/** A reference to an object of any group and kind. */
export function typedReferenceErrors(reference: JsonObject, path: string): readonly FieldError[] {
  const { apiGroup } = reference;
  return [
    ...(apiGroup === undefined ? [] : formatErrors(`${path}.apiGroup`, stringOf(apiGroup), dnsSubdomain)),
    ...['kind', 'name'].flatMap((field) => segmentErrors(reference, field, path)),
  ];
}

function segmentErrors(parameters: JsonObject, field: string, path: string): readonly FieldError[] {
  const text = stringOf(parameters[field]);
  return text === ''
    ? [requiredField(`${path}.${field}`, `${field} is required`)]
    : formatErrors(`${path}.${field}`, text, pathSegment);
}

function scopeErrors({ scope, namespace }: JsonObject, path: string): readonly FieldError[] {
  const field = `${path}.namespace`;
  if (scope === 'Cluster') {
    return namespace === undefined ? [] : [forbiddenField(field, "`parameters.scope` is set to 'Cluster'")];
  }
  if (scope !== 'Namespace') return [notSupportedField(`${path}.scope`, scope, scopes)];
  return namespace === undefined
    ? [requiredField(field, "`parameters.scope` is set to 'Namespace'")]
    : formatErrors(field, stringOf(namespace), dnsLabel);
}
