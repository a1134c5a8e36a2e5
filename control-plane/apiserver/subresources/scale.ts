import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { at, objectOf, stringOf, withPath } from '#api/wire/json.ts';
import { formatGroupVersion, kindOfSubresource, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { withOwners } from '#api/patch/apply/manage.ts';
import { ownersOrNone } from '#api/patch/apply/owner.ts';
import { fieldElement } from '#api/patch/apply/path-element.ts';
import { ownersAfterScale, ownersOfScale, type ScalePlace } from '#api/patch/apply/scale-owners.ts';
import { scaleOf, withScale } from '#api/strategy/scale.ts';
import { scaleOf as readScaleAt } from '#api/structural/paths/scale.ts';
import { scaleRules } from '#api/kinds/autoscaling/scale.ts';
import { internalError, invalid, methodNotAllowed, statusError } from '#api/errors/status.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { merge, readConfig } from '#control-plane/apiserver/verbs/apply.ts';
import { managerOfRequest, manageWrite } from '#control-plane/apiserver/verbs/owners.ts';
import { applyAndDecode, isApplication, readPatch } from '#control-plane/apiserver/verbs/patch/patch-body.ts';
import { checkPlaceOf } from '#control-plane/apiserver/verbs/place.ts';
import type { ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import { objectResponse, styleOf } from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { admittedAs, updateObject } from '#control-plane/apiserver/verbs/update.ts';
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
  if (route.verb === 'get') {
    const { object } = await readExisting(context, route);
    checkHasReplicas(route, object);
    return show(object);
  }
  const isPatch = route.verb === 'patch';
  const options = isPatch
    ? parseWriteOptions('PatchOptions', request.query, isApplication(request))
    : parseWriteOptions('UpdateOptions', request.query);
  const scale = await readScale(context, { route, request, options });
  const { kind, namespace, name } = route;
  const { object } = await updateObject(context, {
    ...{ kind, namespace, name, dryRun: options.dryRun },
    change: (current) => withScaleOf(route, current, scale(ownedScale(kind, current))),
    admittedAs: admittedAs(route, request),
    view: {
      of: (object) => ({ ...scaleOf(kind, object) }),
      into: (object, view) => withScale(kind, object, view),
    },
  });
  return show(object);
}

/** @throws {E_API} 500 for a custom object that does not say how often it is to run */
function checkHasReplicas({ kind }: ResourceRoute, object: JsonObject): void {
  const paths = kind.custom?.scale;
  if (paths === undefined || readScaleAt(paths, object).replicas !== undefined) return;
  throw internalError(`the spec replicas field ${JSON.stringify(paths.specReplicasPath)} does not exist`);
}

function placeOf(kind: Kind): ScalePlace {
  const path = kind.custom?.scale?.specReplicasPath.split('.').filter((name) => name !== '');
  return { path: (path ?? ['spec', 'replicas']).map(fieldElement), apiVersion: formatGroupVersion(kind) };
}

/** The Scale of a workload, with who owns its replicas. */
function ownedScale(kind: Kind, object: JsonObject): JsonObject {
  const owners = ownersOrNone(at(object, 'metadata.managedFields'));
  return withOwners({ ...scaleOf(kind, object) }, ownersOfScale(owners, placeOf(kind)));
}

interface ScaleRequest {
  readonly route: ResourceRoute;
  readonly request: AuthorizedRequest;
  readonly options: WriteOptions;
}

/** The Scale that the request asks for, with its owners, given the one that is. */
async function readScale(
  context: ServerContext,
  { route, request, options }: ScaleRequest,
): Promise<(live: JsonObject) => JsonObject> {
  const { kind, subresource } = route;
  if (subresource === undefined) throw methodNotAllowed();
  const scaleKind = kindOfSubresource(kind, subresource);
  const part = { kind: scaleKind, subresource: subresource.name, isCustom: kind.custom !== undefined };
  if (route.verb === 'patch' && isApplication(request))
    return readApplied(context, { request, options, part });
  const written = { ...part, manager: managerOfRequest(options, request) };
  const change = await readChange(scaleKind, { route, request, options });
  return (live) => manageWrite(context, written, { live, next: change(live) });
}

async function readChange(
  scaleKind: Kind,
  { route, request, options: { fieldValidation } }: ScaleRequest,
): Promise<(live: JsonObject) => JsonObject> {
  if (route.verb === 'patch') {
    const patch = await readPatch(request, fieldValidation);
    return (current) => applyAndDecode(scaleKind, patch(), { current, fieldValidation }).object;
  }
  const body = decodeBodyOf('Scale', await request.readBody(), request.headers['content-type']);
  const { object } = decodeRequest(scaleKind, body, fieldValidation);
  request.record?.saw(object);
  return () => object;
}

async function readApplied(
  context: ServerContext,
  {
    request,
    options,
    part,
  }: {
    readonly request: AuthorizedRequest;
    readonly options: WriteOptions;
    readonly part: { readonly kind: Kind; readonly subresource: string; readonly isCustom: boolean };
  },
): Promise<(live: JsonObject) => JsonObject> {
  const bytes = await request.readBody();
  request.record?.sawPatch(bytes);
  const config = readConfig(bytes, options.fieldValidation);
  return (live) => {
    const { object, owners } = merge(context, { config, options }, { ...part, live });
    if (object === undefined) return withOwners(live, owners);
    if (part.isCustom) throw notConvertible(config.object);
    const decoded = decodeRequest(part.kind, { value: object, duplicateFields: [] }, 'Ignore').object;
    return withOwners(decoded, owners);
  };
}

/** As a 1.36 answers: it takes the Scale for a version of the custom kind. */
function notConvertible(config: JsonObject): Error {
  const { namespace, name } = objectOf(config['metadata']);
  const shown = `${stringOf(namespace)}/${stringOf(name)}; autoscaling/v1, Kind=Scale`;
  const cause = 'request to convert CR to an invalid group/version: autoscaling/v1';
  return statusError(500, '', `failed to convert new object (${shown}) to proper version: ${cause}`);
}

/** @throws {E_API} 400 for another name or namespace, 422 where the Scale itself is not valid (ValidateScale) */
function withScaleOf(route: ResourceRoute, current: JsonObject, scale: JsonObject): JsonObject {
  checkPlaceOf(route, scale);
  // A custom object is judged as it becomes.
  const errors = route.kind.custom === undefined ? (scaleRules.validate?.(scale) ?? []) : [];
  if (errors.length > 0) throw invalid({ group: 'autoscaling', kind: 'Scale' }, route.name, errors);
  const before = ownersOrNone(at(current, 'metadata.managedFields'));
  const ofScale = ownersOrNone(at(scale, 'metadata.managedFields'));
  const scaled = withOwners(
    withScale(route.kind, current, scale),
    ownersAfterScale(before, ofScale, placeOf(route.kind)),
  );
  // Its revision and uid are those of the object: a Scale that is out of date loses like the object would.
  return ['resourceVersion', 'uid'].reduce((next, field) => {
    const given = stringOf(at(scale, ['metadata', field]));
    return given === ''
      ? next
      : withPath(next, 'metadata', { ...objectOf(next['metadata']), [field]: given });
  }, scaled);
}
