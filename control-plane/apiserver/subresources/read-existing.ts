import { notFound } from '#api/errors/status.ts';
import type { Entry } from '#control-plane/apiserver/objects/registry.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';

/** The object that a subresource belongs to. @throws {E_API} 404 */
export async function readExisting(context: ServerContext, route: ResourceRoute): Promise<Entry> {
  const entry = await context.registry.read(route.kind, route.namespace, route.name);
  if (entry === undefined) throw notFound(route.kind, route.name);
  return entry;
}
