import type { AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { admitWhole } from './run-admission.ts';

/** exec, attach, portforward and proxy, as requests and as upgrades. Disposed of when the connection is made or given up. */
export function admitConnection(
  context: ServerContext,
  { verb, kind, subresource, namespace, name }: ResourceRoute,
  request: AuthorizedRequest,
): Promise<Disposable> {
  return admitWhole(context, {
    ...{ operation: 'connect', verb, kind, subresource: subresource?.name ?? '' },
    ...{ namespace, name, user: request.user, scope: request, dryRun: false },
  });
}
