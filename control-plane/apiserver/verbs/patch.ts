import { mediaTypeOf } from '#api/wire/body.ts';
import { decodeRequest, type FieldValidation } from '#api/wire/decode-request.ts';
import { forbiddenField, invalidField } from '#api/errors/field-error.ts';
import { at, isObject, stringOf } from '#api/wire/json.ts';
import { effectWarnings } from '#api/kinds/kind-effects.ts';
import { parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { queryBoolean } from '#api/wire/query.ts';
import { parseJsonStrict, type StrictJson } from '#api/wire/parse-json.ts';
import { applyJsonPatch } from '#api/patch/json-patch.ts';
import { applyMergePatch } from '#api/patch/merge-patch.ts';
import { applyStrategicPatch } from '#api/patch/strategic-patch.ts';
import {
  badRequest,
  invalid,
  invalidOptions,
  statusError,
  unsupportedPatchType,
} from '#api/errors/status.ts';
import { checkValueCount } from '#api/wire/value-count.ts';
import { parseYaml } from '#api/wire/yaml.ts';
import { isPodwrightError } from '#base/errors.ts';
import { checkNamespaceOf, writtenResponse } from './create.ts';
import { workOnBody, type BodyWork } from '#control-plane/apiserver/serve/large-body.ts';
import type { ApiRequest, ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { admittedAs, checkNameOf, updateObject } from './update.ts';
import { parseWriteOptions, type WriteOptions } from './write-options.ts';

type PatchType = 'json' | 'merge' | 'strategic';

/** A patch that was read and can be applied to an object any number of times. */
export interface Patch {
  readonly type: PatchType;
  readonly apply: (
    kind: Kind,
    base: JsonObject,
  ) => { readonly value: unknown; readonly duplicateFields: readonly string[] };
}

/** PATCH of an object or of its status and the like. */
export async function patchObject(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const { kind, namespace, name } = route;
  const options = parseWriteOptions('PatchOptions', request.query);
  const bytes = await request.readBody();
  // A patch of a few bytes makes all of a large object anew.
  const stored = await context.registry.read(kind, namespace, name);
  const weight = bytes.byteLength + (stored?.value.value.byteLength ?? 0);
  return workOnBody({ bytes: weight, request }, (work) =>
    patchBytes(context, { route, request, options, bytes, work }),
  );
}

async function patchBytes(
  context: ServerContext,
  given: {
    readonly route: ResourceRoute;
    readonly request: AuthorizedRequest;
    readonly options: WriteOptions;
    readonly bytes: Uint8Array;
    readonly work: BodyWork;
  },
): Promise<ApiResponse> {
  const { route, request, options, bytes, work } = given;
  const { kind, namespace, name } = route;
  const patch = patchOf(request, bytes);
  const subresource = route.subresource?.name;
  await work.pause();
  let warnings: readonly string[] = [];
  const change = (current: JsonObject): JsonObject => {
    const decoded = applyAndDecode(kind, patch, { current, fieldValidation: options.fieldValidation });
    checkPlaceOf(route, decoded.object);
    warnings =
      subresource === undefined
        ? [...decoded.warnings, ...effectWarnings(kind, decoded.object)]
        : decoded.warnings;
    return decoded.object;
  };
  const written = await updateObject(context, {
    kind,
    namespace,
    name,
    subresource,
    dryRun: options.dryRun,
    admittedAs: admittedAs(route, request),
    work,
    change,
  });
  return writtenResponse(context, { status: 200, kind, written, warnings }, request);
}

/** @throws {E_API} 415 without a patch type that is known, 400 when the body is none, 422 for `force` */
export async function readPatch(request: ApiRequest): Promise<Patch> {
  return patchOf(request, await request.readBody());
}

function patchOf(request: ApiRequest, bytes: Uint8Array): Patch {
  const type = patchTypeOf(request.headers['content-type']);
  if (queryBoolean(request.query, 'force') === true) {
    throw invalidOptions('PatchOptions', [
      forbiddenField('force', 'may not be specified for non-apply patch'),
    ]);
  }
  const { value, duplicateFields } = parsePatch(bytes);
  if (type === 'json') {
    if (!Array.isArray(value)) {
      throw badRequest(
        'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
      );
    }
    return { type, apply: (_kind, base) => ({ value: applyJsonPatch(base, value), duplicateFields: [] }) };
  }
  if (!isObject(value))
    throw badRequest(
      'error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}',
    );
  if (type === 'merge')
    return { type, apply: (_kind, base) => ({ value: applyMergePatch(base, value), duplicateFields }) };
  return {
    type,
    apply: (kind, base) => ({ value: applyStrategicPatch(kind, base, value), duplicateFields }),
  };
}

/** The patched object, read as a request body would be: types checked, unknown fields dropped or refused. */
export function applyAndDecode(
  kind: Kind,
  patch: Patch,
  on: { readonly current: JsonObject; readonly fieldValidation: FieldValidation },
): { readonly object: JsonObject; readonly warnings: readonly string[] } {
  const { value, duplicateFields } = patch.apply(kind, on.current);
  checkValueCount(value);
  // Of a strategic patch the server takes the fields of the kind only; the others make a document that is read anew.
  if (patch.type !== 'strategic') checkType(kind, value);
  return decodeRequest(kind, { value, duplicateFields }, on.fieldValidation);
}

const shownCharsMax = 1000;

/** @throws {E_API} 422 for a patch that makes an object of another kind of it */
function checkType(kind: Kind, value: unknown): void {
  const { apiVersion, kind: name } = isObject(value) ? value : {};
  const { group, version } = parseGroupVersion(stringOf(apiVersion));
  const isSame = group === kind.group && version === kind.version && name === kind.kind;
  if (isSame) return;
  const text = JSON.stringify(value) ?? '';
  const shown = text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text;
  const missing = stringOf(name) === '' ? 'Kind' : stringOf(apiVersion) === '' ? 'apiVersion' : undefined;
  const own = `${kind.group === '' ? 'core' : kind.group.split('.')[0]}.${kind.kind}`;
  const cause =
    missing === undefined
      ? `converting (${version}.${stringOf(name)}) to (${own}): unknown conversion`
      : `Object '${missing}' is missing in '${shown}'`;
  throw invalid({ group: '', kind: '' }, '', [invalidField('patch', shown, cause)]);
}

/** @throws {E_API} 400 where the patch gives the object another name or namespace, or takes its name */
function checkPlaceOf({ kind, namespace, name }: ResourceRoute, object: JsonObject): void {
  if (stringOf(at(object, 'metadata.name')) === '') {
    throw badRequest(
      `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
    );
  }
  checkNameOf(name, object);
  checkNamespaceOf(kind, namespace, object);
}

function patchTypeOf(contentType: string | undefined): PatchType {
  switch (mediaTypeOf(contentType)) {
    case 'application/json-patch+json':
      return 'json';
    case 'application/merge-patch+json':
      return 'merge';
    case 'application/strategic-merge-patch+json':
      return 'strategic';
    case 'application/apply-patch+yaml':
    case 'application/apply-patch+cbor':
      throw statusError(
        415,
        'UnsupportedMediaType',
        'server-side apply is not supported by this server: use client-side apply',
        {},
      );
    default:
      throw unsupportedPatchType();
  }
}

function parsePatch(bytes: Uint8Array): StrictJson {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  try {
    return parseJsonStrict(text);
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
    return parseYamlPatch(text, error.message);
  }
}

/** The real server takes YAML here, too: its decoder reads both. */
function parseYamlPatch(text: string, jsonComplaint: string): StrictJson {
  try {
    const parsed = parseYaml(text);
    if (isObject(parsed.value) || Array.isArray(parsed.value)) return parsed;
  } catch (error) {
    if (!isPodwrightError(error, 'E_INVALID')) throw error;
  }
  throw badRequest(`error decoding patch: ${jsonComplaint}`);
}
