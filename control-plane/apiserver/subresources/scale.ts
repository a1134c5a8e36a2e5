import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { at, objectOf, stringOf, withPath } from '#api/wire/json.ts';
import { kindOfSubresource } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { scaleOf, withScale } from '#api/strategy/scale.ts';
import { methodNotAllowed } from '#api/errors/status.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { applyAndDecode, readPatch } from '#control-plane/apiserver/verbs/patch.ts';
import type { ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { admittedAs, checkNameOf, updateObject } from '#control-plane/apiserver/verbs/update.ts';
import { parseWriteOptions, type WriteOptions } from '#control-plane/apiserver/verbs/write-options.ts';
import { readExisting } from './read-existing.ts';

/** GET, PUT and PATCH of the Scale of a workload: its replicas, and nothing else of it. */
export async function handleScale(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const style = styleOf(request, negotiate(request.headers['accept'], []));
  const show = (object: JsonObject): ApiResponse =>
    objectResponse(200, { ...scaleOf(route.kind, object) }, style);
  if (route.verb === 'get') return show((await readExisting(context, route)).object);
  const options = parseWriteOptions(route.verb === 'patch' ? 'PatchOptions' : 'UpdateOptions', request.query);
  const scale = await readScale(route, request, options);
  const { kind, namespace, name } = route;
  const change = (current: JsonObject): JsonObject => withScaleOf(route, current, scale(current));
  const { object } = await updateObject(context, {
    ...{ kind, namespace, name, dryRun: options.dryRun, change },
    admittedAs: admittedAs(route, request),
    view: {
      of: (object) => ({ ...scaleOf(kind, object) }),
      into: (object, view) => withScale(kind, object, view),
    },
  });
  return show(object);
}

/** The Scale that the request asks for, given the object as it is. */
async function readScale(
  route: ResourceRoute,
  request: AuthorizedRequest,
  { fieldValidation }: WriteOptions,
): Promise<(current: JsonObject) => JsonObject> {
  const { kind, subresource } = route;
  if (subresource === undefined) throw methodNotAllowed();
  const scaleKind = kindOfSubresource(kind, subresource);
  if (route.verb === 'patch') {
    const patch = await readPatch(request);
    return (current) =>
      applyAndDecode(scaleKind, patch, { current: { ...scaleOf(kind, current) }, fieldValidation }).object;
  }
  const body = decodeBodyOf('Scale', await request.readBody(), request.headers['content-type']);
  const { object } = decodeRequest(scaleKind, body, fieldValidation);
  return () => object;
}

function withScaleOf(route: ResourceRoute, current: JsonObject, scale: JsonObject): JsonObject {
  checkNameOf(route.name, scale);
  const scaled = withScale(route.kind, current, scale);
  // Its revision and uid are those of the object: a Scale that is out of date loses like the object would.
  return ['resourceVersion', 'uid'].reduce((next, field) => {
    const given = stringOf(at(scale, ['metadata', field]));
    return given === ''
      ? next
      : withPath(next, 'metadata', { ...objectOf(next['metadata']), [field]: given });
  }, scaled);
}
