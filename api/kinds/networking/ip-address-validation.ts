import { requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, stringOf } from '#api/wire/json.ts';
import { dnsSubdomain, formatErrors, pathSegment, requiredText } from '#api/validation/format.ts';

const path = 'spec.parentRef';

/** Complaints about an IPAddress: whose it is (kubernetes pkg/apis/networking/validation). */
export function validateIpAddress(address: JsonObject): readonly FieldError[] {
  const parent = at(address, path);
  if (!isObject(parent)) return [requiredField(path)];
  const [group, namespace] = [stringOf(parent['group']), stringOf(parent['namespace'])];
  return [
    ...(group === '' ? [] : formatErrors(`${path}.group`, group, dnsSubdomain)),
    ...requiredText(parent, 'resource', path, pathSegment),
    ...requiredText(parent, 'name', path, pathSegment),
    ...formatErrors(`${path}.namespace`, namespace, pathSegment),
  ];
}
