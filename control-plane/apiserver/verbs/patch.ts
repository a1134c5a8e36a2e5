import { effectWarnings } from '#api/kinds/kind-effects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { notFound, unsupportedCustomPatchType } from '#api/errors/status.ts';
import { applyObject, readConfig } from './apply.ts';
import { writtenResponse } from './create.ts';
import { workOnBody, type BodyWork } from '#control-plane/apiserver/serve/large-body.ts';
import type { ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { managerOfRequest, manageWrite } from './owners.ts';
import {
  applyAndDecode,
  isApplication,
  patchOf,
  patchTypeOf,
} from '#control-plane/apiserver/verbs/patch/patch-body.ts';
import { duplicatesMade, withOwnersOnce } from './owner-references.ts';
import { checkPlaceOf } from './place.ts';
import { admittedAs, updateObject } from './update.ts';
import { parseWriteOptions, type WriteOptions } from './write-options.ts';

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
    patchBytes(context, { route, request, options, bytes, work, isThere: stored !== undefined }),
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
    readonly isThere: boolean;
  },
): Promise<ApiResponse> {
  const { route, request, options, bytes, work, isThere } = given;
  const { kind, namespace, name } = route;
  request.record?.sawPatch(bytes);
  if (isApplication(request)) {
    const config = readConfig(bytes, options.fieldValidation);
    if (work.pause !== undefined) await work.pause();
    return applyObject(context, { route, request, options, config, work });
  }
  const type = patchTypeOf(request);
  if (type === 'strategic' && kind.custom !== undefined) throw unsupportedCustomPatchType();
  if (!isThere) throw notFound(kind, name);
  const patch = patchOf(type, bytes, options.fieldValidation);
  const subresource = route.subresource?.name;
  if (work.pause !== undefined) await work.pause();
  let warnings: readonly string[] = [];
  const change = (current: JsonObject): JsonObject => {
    const decoded = applyAndDecode(kind, patch, { current, fieldValidation: options.fieldValidation });
    const object = withOwnersOnce(decoded.object, request, duplicatesMade);
    checkPlaceOf(route, object);
    warnings =
      subresource === undefined ? [...decoded.warnings, ...effectWarnings(kind, object)] : decoded.warnings;
    return object;
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
