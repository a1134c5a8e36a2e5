import { mediaTypeOf, type DecodedBody } from '#api/wire/body.ts';
import { decodeRequest, unlikeCause, type FieldValidation } from '#api/wire/decode-request.ts';
import { invalidField } from '#api/errors/field-error.ts';
import { isObject, jsonKind, stringOf } from '#api/wire/json.ts';
import { parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseJsonStrict } from '#api/wire/parse-json.ts';
import { applyJsonPatch } from '#api/patch/json-patch.ts';
import { applyMergePatch } from '#api/patch/merge-patch.ts';
import { applyStrategicPatch, goMap } from '#api/patch/strategic-patch.ts';
import { badRequest, invalid, unsupportedPatchType } from '#api/errors/status.ts';
import { checkValueCount } from '#api/wire/value-count.ts';
import { isPodwrightError, type PodwrightError } from '#base/errors.ts';
import type { ApiRequest, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import { operationComplaints } from './patch-operations.ts';
import { unstructuredFault } from './unstructured-fault.ts';

type PatchType = 'json' | 'merge' | 'strategic';

/** A patch that was read and can be applied to an object any number of times. */
export interface Patch {
  readonly type: PatchType;
  /** What is wrong with it and can be passed over: a member given twice, or that no operation has. */
  readonly complaints: readonly string[];
  readonly apply: (kind: Kind, base: JsonObject) => unknown;
  /** The value as an error shows it, given what the patch made. */
  readonly shown: (made: unknown) => string;
}

/**
 * The patch of a request. Its body is read as JSON, and nothing else.
 * @throws {E_API} 400 when the body is none
 */
export function patchOf(type: PatchType, bytes: Uint8Array, validation: FieldValidation): Patch {
  // Without a look at fields the libraries read it by themselves.
  const isLax = validation === 'Ignore';
  const refuse = (cause: string): PodwrightError =>
    badRequest(type === 'strategic' || (isLax && type === 'json') ? cause : `error decoding patch: ${cause}`);
  const { value, duplicateFields } = parsePatch(bytes, refuse);
  const notOf = (goType: string): PodwrightError =>
    refuse(`json: cannot unmarshal ${jsonKind(value)} into Go value of type ${goType}`);
  const complaints = duplicateFields.map((path) => `duplicate field "${path}"`);
  if (type === 'json') {
    if (value !== null && !Array.isArray(value))
      throw notOf(isLax ? 'jsonpatch.Patch' : '[]handlers.jsonPatchOp');
    const operations: readonly unknown[] = value ?? [];
    const unknownMembers = operationComplaints(operations, isLax, refuse);
    return {
      type,
      complaints: [...unknownMembers, ...complaints].map((complaint) => `json patch ${complaint}`),
      apply: (_kind, base) => applyJsonPatch(base, operations),
      shown: shownJson,
    };
  }
  if (value === null && type === 'merge') throw badRequest('Invalid JSON Patch');
  if (value !== null && !isObject(value)) throw notOf('map[string]interface {}');
  const merged = value ?? {};
  if (type === 'merge')
    return { type, complaints, apply: (_kind, base) => applyMergePatch(base, merged), shown: shownJson };
  return {
    type,
    complaints,
    apply: (kind, base) => applyStrategicPatch(kind, base, merged),
    shown: () => goMap(merged),
  };
}

/** @throws {E_API} 415 without a patch type that is known */
export function patchTypeOf(request: ApiRequest): PatchType {
  switch (mediaTypeOf(request.headers['content-type'])) {
    case 'application/json-patch+json':
      return 'json';
    case 'application/merge-patch+json':
      return 'merge';
    case 'application/strategic-merge-patch+json':
      return 'strategic';
    default:
      throw unsupportedPatchType();
  }
}

/** The patch of the request, once there is something to be patched. @throws {E_API} 415 at once; what is given, 400 */
export async function readPatch(
  request: AuthorizedRequest,
  validation: FieldValidation,
): Promise<() => Patch> {
  const type = patchTypeOf(request);
  const bytes = await request.readBody();
  request.record?.sawPatch(bytes);
  let patch: Patch | undefined;
  return () => (patch ??= patchOf(type, bytes, validation));
}

/** The patched object, read as a request body would be: types checked, unknown fields dropped or refused. @throws {E_API} 422 */
export function applyAndDecode(
  kind: Kind,
  patch: Patch,
  on: { readonly current: JsonObject; readonly fieldValidation: FieldValidation },
): { readonly object: JsonObject; readonly warnings: readonly string[] } {
  const value = patch.apply(kind, on.current);
  checkValueCount(value);
  // Of a strategic patch the server takes the fields of the kind only; the others make a document that is read anew.
  if (patch.type !== 'strategic' && kind.custom === undefined) checkType(kind, value);
  const body = kind.custom === undefined ? { value, duplicateFields: [] } : bodyOf(value);
  const refuse = (cause: string): PodwrightError =>
    invalid({ group: '', kind: '' }, '', [invalidField('patch', patch.shown(value), cause)]);
  const isRefused = on.fieldValidation === 'Strict';
  const decoded = decodeRequest(kind, body, isRefused ? 'Warn' : on.fieldValidation, {
    refuse: (cause, fault) => refuse(patch.type === 'strategic' ? unstructuredFault(cause, fault) : cause),
  });
  const complaints = on.fieldValidation === 'Ignore' ? [] : [...patch.complaints, ...decoded.warnings];
  if (isRefused && complaints.length > 0) throw refuse(`strict decoding error: ${complaints.join(', ')}`);
  return { object: decoded.object, warnings: complaints };
}

/** What a custom object becomes has to say what it is, as a body has to. */
function bodyOf(value: unknown): DecodedBody {
  const { apiVersion, kind } = isObject(value) ? value : {};
  return {
    value,
    duplicateFields: [],
    ...(typeof apiVersion === 'string' ? { apiVersion } : {}),
    ...(typeof kind === 'string' ? { kind } : {}),
  };
}

const shownCharsMax = 1000;

function shownJson(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text;
}

/** @throws {E_API} 422 for a patch that makes an object of another kind of it */
function checkType(kind: Kind, value: unknown): void {
  const { apiVersion, kind: name } = isObject(value) ? value : {};
  const { group, version } = parseGroupVersion(stringOf(apiVersion));
  const isSame = group === kind.group && version === kind.version && name === kind.kind;
  if (isSame) return;
  const shown = shownJson(value);
  const missing = stringOf(name) === '' ? 'Kind' : stringOf(apiVersion) === '' ? 'apiVersion' : undefined;
  const cause =
    missing === undefined
      ? unlikeCause(kind, stringOf(apiVersion), stringOf(name))
      : `Object '${missing}' is missing in '${shown}'`;
  throw invalid({ group: '', kind: '' }, '', [invalidField('patch', shown, cause)]);
}

/** Whether the body is a configuration to be applied. CBOR is off, as it is upstream. */
export function isApplication(request: ApiRequest): boolean {
  return mediaTypeOf(request.headers['content-type']) === 'application/apply-patch+yaml';
}

function parsePatch(
  bytes: Uint8Array,
  refuse: (cause: string) => PodwrightError,
): ReturnType<typeof parseJsonStrict> {
  try {
    return parseJsonStrict(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) throw refuse(error.message);
    throw error;
  }
}
