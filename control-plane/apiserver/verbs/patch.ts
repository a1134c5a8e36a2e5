import { mediaTypeOf, type DecodedBody } from '#api/wire/body.ts';
import { decodeRequest, type FieldValidation } from '#api/wire/decode-request.ts';
import { invalidField } from '#api/errors/field-error.ts';
import { isObject, stringOf } from '#api/wire/json.ts';
import { effectWarnings } from '#api/kinds/kind-effects.ts';
import { parseGroupVersion, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseJsonStrict, type StrictJson } from '#api/wire/parse-json.ts';
import { applyJsonPatch } from '#api/patch/json-patch.ts';
import { applyMergePatch } from '#api/patch/merge-patch.ts';
import { applyStrategicPatch } from '#api/patch/strategic-patch.ts';
import { badRequest, invalid, unsupportedCustomPatchType, unsupportedPatchType } from '#api/errors/status.ts';
import { checkValueCount } from '#api/wire/value-count.ts';
import { parseYaml } from '#api/wire/yaml.ts';
import { isPodwrightError } from '#base/errors.ts';
import { applyObject, readConfig } from './apply.ts';
import { writtenResponse } from './create.ts';
import { workOnBody, type BodyWork } from '#control-plane/apiserver/serve/large-body.ts';
import type { ApiRequest, ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { managerOfRequest, manageWrite } from './owners.ts';
import { checkPlaceOf } from './place.ts';
import { admittedAs, updateObject } from './update.ts';
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
  const isApply = isApplication(request);
  const options = parseWriteOptions('PatchOptions', request.query, isApply);
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
  request.record?.sawPatch(bytes);
  if (isApplication(request)) {
    const config = readConfig(bytes, options.fieldValidation);
    await work.pause();
    return applyObject(context, { route, request, options, config, work });
  }
  const patch = patchOf(request, bytes);
  if (patch.type === 'strategic' && kind.custom !== undefined) throw unsupportedCustomPatchType();
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
    own: (live, next) =>
      manageWrite(
        context,
        { kind, subresource, manager: managerOfRequest(options, request) },
        { live, next },
      ),
  });
  return writtenResponse(context, { status: 200, kind, written, warnings }, request);
}

/** @throws {E_API} 415 without a patch type that is known, 400 when the body is none */
export async function readPatch(request: AuthorizedRequest): Promise<Patch> {
  const bytes = await request.readBody();
  request.record?.sawPatch(bytes);
  return patchOf(request, bytes);
}

function patchOf(request: ApiRequest, bytes: Uint8Array): Patch {
  const type = patchTypeOf(request.headers['content-type']);
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
  if (patch.type !== 'strategic' && kind.custom === undefined) checkType(kind, value);
  const body = kind.custom === undefined ? { value, duplicateFields } : bodyOf(value, duplicateFields);
  return decodeRequest(kind, body, on.fieldValidation);
}

/** What a custom object becomes has to say what it is, as a body has to. */
function bodyOf(value: unknown, duplicateFields: readonly string[]): DecodedBody {
  const { apiVersion, kind } = isObject(value) ? value : {};
  return {
    value,
    duplicateFields,
    ...(typeof apiVersion === 'string' ? { apiVersion } : {}),
    ...(typeof kind === 'string' ? { kind } : {}),
  };
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

/** Whether the body is a configuration to be applied. CBOR is off, as it is upstream. */
export function isApplication(request: ApiRequest): boolean {
  return mediaTypeOf(request.headers['content-type']) === 'application/apply-patch+yaml';
}

function patchTypeOf(contentType: string | undefined): PatchType {
  switch (mediaTypeOf(contentType)) {
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
