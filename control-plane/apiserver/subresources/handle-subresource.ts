import { decodeBodyOf } from '#api/wire/body.ts';
import { decodeRequest } from '#api/wire/decode-request.ts';
import { at, stringOf } from '#api/wire/json.ts';
import { kindOfSubresource } from '#api/schema/kinds.ts';
import { badRequest, methodNotAllowed } from '#api/errors/status.ts';
import { admitWhole } from '#control-plane/apiserver/chain/admission/run-admission.ts';
import { admitConnection } from '#control-plane/apiserver/chain/admission/admit-connection.ts';
import { checkNamespaceOf } from '#control-plane/apiserver/verbs/place.ts';
import { negotiate } from '#control-plane/apiserver/serve/negotiate.ts';
import { connectToNode } from '#control-plane/apiserver/nodes/connect.ts';
import { managerOfRequest } from '#control-plane/apiserver/verbs/owners.ts';
import { patchObject } from '#control-plane/apiserver/verbs/patch.ts';
import { getObject } from '#control-plane/apiserver/verbs/read.ts';
import type { ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import { styleOf } from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { putObject } from '#control-plane/apiserver/verbs/update.ts';
import { parseWriteOptions } from '#control-plane/apiserver/verbs/write-options.ts';
import { bindPod } from './binding.ts';
import { evictPod } from './eviction.ts';
import { handleScale } from './scale.ts';
import { requestToken } from './token.ts';

/** A request to a subresource: a part of the object, another view of it, or something done to it. */
export async function handleSubresource(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  switch (route.subresource?.name) {
    case 'scale':
      return handleScale(context, route, request);
    case 'binding':
    case 'eviction':
    case 'token':
      return handlePosted(context, route, request);
    case 'log':
      return connectToNode(context, route, request);
    case 'exec':
    case 'attach':
    case 'portforward':
    case 'proxy': {
      using _admitted = await admitConnection(context, route, request);

      return await connectToNode(context, route, request);
    }
    default:
      return handlePart(context, route, request);
  }
}

/** status, finalize, approval, ephemeralcontainers, resize: the object itself, of which a part is written. */
function handlePart(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  switch (route.verb) {
    case 'get':
      return getObject(context, route, request);
    case 'update':
      return putObject(context, route, request);
    case 'patch':
      return patchObject(context, route, request);
    default:
      throw methodNotAllowed();
  }
}

/** Subresources that take an object of their own by POST. */
async function handlePosted(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const { kind, namespace, name, subresource } = route;
  if (route.verb !== 'create' || subresource === undefined) throw methodNotAllowed();
  const options = parseWriteOptions('CreateOptions', request.query);
  const taken = kindOfSubresource(kind, subresource);
  const body = decodeBodyOf(taken.kind, await request.readBody(), request.headers['content-type']);
  const { object } = decodeRequest(taken, body, options.fieldValidation);
  request.record?.saw(object);
  checkNamespaceOf(kind, namespace, object);
  using admitted = await admitWhole(
    context,
    {
      ...{ operation: 'create', verb: 'create', kind, subresource: subresource.name, namespace, name },
      ...{ user: request.user, scope: request, dryRun: options.dryRun },
    },
    object,
  );
  const posted = admitted.object;
  if (subresource.name !== 'token' && stringOf(at(posted, 'metadata.name')) !== name)
    throw badRequest(`name in URL does not match name in ${taken.kind} object`);

  const style = styleOf(request, negotiate(request.headers['accept'], []));
  const input = {
    ...{ route, namespace, name, object: posted, taken },
    ...{ manager: managerOfRequest(options, request), dryRun: options.dryRun, scope: request },
  };
  switch (subresource.name) {
    case 'binding':
      return await bindPod(context, { namespace, binding: posted, dryRun: options.dryRun }, style);
    case 'eviction':
      return await evictPod(context, input, style);
    case 'token':
      return await requestToken(context, input, style);
    default:
      throw methodNotAllowed();
  }
}
