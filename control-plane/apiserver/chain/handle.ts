import { deprecationWarning } from '#api/warnings/warnings.ts';
import { resourceNotFound } from '#api/errors/status.ts';
import { postObject } from '#control-plane/apiserver/verbs/create.ts';
import { deleteCollection, deleteOne } from '#control-plane/apiserver/verbs/delete.ts';
import { patchObject } from '#control-plane/apiserver/verbs/patch.ts';
import { handlePath } from '#control-plane/apiserver/paths/paths.ts';
import { getObject, listObjects } from '#control-plane/apiserver/verbs/read.ts';
import type { ApiRequest, ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import { compress, withWarnings } from '#control-plane/apiserver/serve/respond.ts';
import { isLongRunning, type ResourceRoute, type Route } from './route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { handleSubresource } from '#control-plane/apiserver/subresources/handle-subresource.ts';
import { putObject } from '#control-plane/apiserver/verbs/update.ts';
import { handleVirtual, isVirtual } from '#control-plane/apiserver/verbs/virtual.ts';
import { watchObjects } from '#control-plane/apiserver/verbs/watch.ts';
import { passChain, type Passed, type WayIn } from './chain.ts';

/** The answer to a request that asks for no upgrade, whatever brought it. Never throws. */
export function handle(context: ServerContext, request: ApiRequest): Promise<ApiResponse> {
  const way: WayIn<ApiResponse> = {
    serve: async (passed) => {
      const { record } = passed.request;
      const response = await serve(context, passed);
      const recorded = record === undefined ? response : record.sawResponse(response);
      return passed.seat.answer(request, compress(request, withWarnings(recorded, passed.request.warnings)));
    },
  };
  return passChain(context, request, way);
}

async function serve(context: ServerContext, { route, request }: Passed): Promise<ApiResponse> {
  if (route.kind === 'path') return handlePath(context, request);
  using _short = isShort(route) ? context.listTurns.short() : undefined;

  return await handleResource(context, route.route, request);
}

const longVerbs: ReadonlySet<string> = new Set(['list', 'deletecollection']);

/** Of one object, and over when it is answered. */
function isShort(route: Route): boolean {
  return route.kind === 'resource' && !longVerbs.has(route.route.verb) && !isLongRunning(route);
}

async function handleResource(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const deprecation = deprecationWarning(route.kind);
  if (deprecation !== undefined) {
    request.warn(deprecation);
    request.annotate('k8s.io/deprecated', 'true');
  }
  if (isVirtual(route.kind)) return handleVirtual(context, route, request);
  if (route.subresource !== undefined) return handleSubresource(context, route, request);
  switch (route.verb) {
    case 'get':
      return getObject(context, route, request);
    case 'list':
      return context.listTurns.serve(request.user.name, () => listObjects(context, route, request));
    case 'watch':
      return watchObjects(context, route, request);
    case 'create':
      return postObject(context, route, request);
    case 'update':
      return putObject(context, route, request);
    case 'patch':
      return patchObject(context, route, request);
    case 'delete':
      return deleteOne(context, route, request);
    case 'deletecollection':
      return deleteCollection(context, route, request);
    default:
      throw resourceNotFound();
  }
}
