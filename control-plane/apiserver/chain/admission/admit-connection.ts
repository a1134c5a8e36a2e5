import { forbidden, internalError } from '#api/errors/status.ts';
import type { AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import { attributesOf } from '#control-plane/apiserver/chain/attributes.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { equalJson } from '#api/wire/json.ts';
import { connectOptions } from './connect-options.ts';
import { admitWhole } from './run-admission.ts';

/** exec, attach, portforward and proxy, as requests and as upgrades. Disposed of when the connection is made or given up. */
export async function admitConnection(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<Disposable> {
  using held = new DisposableStack();

  const { verb, kind, subresource, namespace, name, rest } = route;
  const part = subresource?.name ?? '';
  const options = connectOptions({ kind, subresource: part, rest }, request.query);
  const admitted = held.use(
    await admitWhole(
      context,
      {
        ...{ operation: 'connect', verb, kind, subresource: part },
        ...{ namespace, name, user: request.user, scope: request, dryRun: false },
      },
      options,
    ),
  );
  if (!equalJson(admitted.object, options))
    throw internalError(
      'admission changed the options of a connection, which goes as its client asked or not at all',
    );
  await requireCreate(context, route, request);
  return held.move();
}

/** What somebody does in a pod, by whatever method: a WebSocket begins with GET, and who may read is not to run commands by it. */
const deeds: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward']);

/** @throws {E_API} 403 where `create` may not be done, too (AuthorizePodWebsocketUpgradeCreatePermission, 1.35; kubernetes #133515) */
async function requireCreate(
  { authorizer }: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<void> {
  if (route.verb === 'create' || !deeds.has(route.subresource?.name ?? '')) return;
  const attributes = attributesOf(request, { kind: 'resource', route }, request.user);
  const { decision, reason, error } = await authorizer.decide({ ...attributes, verb: 'create' });
  if (decision === 'allow') return;
  throw error === undefined ? forbidden(route.kind, route.name, reason) : internalError(error);
}
