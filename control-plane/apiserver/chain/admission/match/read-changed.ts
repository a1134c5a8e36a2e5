import { applyDefaults } from '#api/defaults/defaults.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { isObject, stringOf } from '#api/wire/json.ts';

/** What a hook or a policy made of an object, read as a body would be and defaulted again. @throws {E_API} where it is no object of the kind */
export function readChanged(kind: Kind, value: unknown): JsonObject {
  const given = isObject(value) ? value : {};
  const { apiVersion, kind: name } = given;
  const body = {
    ...{ value: given, duplicateFields: [] },
    ...(apiVersion === undefined ? {} : { apiVersion: stringOf(apiVersion) }),
    ...(name === undefined ? {} : { kind: stringOf(name) }),
  };
  return applyDefaults(kind, decodeRequest(kind, body, 'Ignore').object);
}
