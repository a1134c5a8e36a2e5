import { setImmediate as nextTurn } from 'node:timers/promises';
import type { GroupResource } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { apiVersionOf } from '#api/schema/kind-ref.ts';
import { apiFailureOf, describeRefusal, isConflict, isConnectionFailure } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { discoverResource, type DiscoveredKind } from '#client/discover-kinds.ts';
import { listPages } from '#client/list-all.ts';
import { versionOf } from '#client/resource-version.ts';

/** As whom managedFields would know the writer; it owns nothing. */
const fieldManager = 'storage-version-migrator-controller';

/** The kind of a resource, in the version that its server prefers; undefined: nobody serves it. */
export function kindToMigrate(
  client: ApiClient,
  resource: GroupResource,
): Promise<DiscoveredKind | undefined> {
  return discoverResource(client, resource);
}

/** The revision up to which objects of the kind may be stored as they were. */
export async function revisionOf(client: ApiClient, kind: DiscoveredKind): Promise<string> {
  const { resourceVersion } = await client.list(kind, { limit: 1, metadataOnly: true });
  return resourceVersion;
}

/**
 * Has the server store every object of the kind anew that was not written since that revision, each by an application that says nothing
 * but which object is meant: where it is stored as it would be, nothing is written. Whoever changes or deletes it meanwhile is right.
 * Begun again it goes on: what was stored anew is younger.
 * @returns why it cannot be done; undefined: it is done
 * @throws what may pass, for another try
 */
export async function migrateObjects(
  client: ApiClient,
  kind: DiscoveredKind,
  { resourceVersion, signal }: { readonly resourceVersion: string; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const last = Number(resourceVersion);
  if (!Number.isSafeInteger(last)) return `resource version is not well formed: ${resourceVersion}`;
  for await (const { items } of listPages(client, kind, { metadataOnly: true })) {
    for (const item of items) {
      signal.throwIfAborted();
      if (versionOf(item) > last) continue;
      const problem = await storeAnew(client, kind, item);
      if (problem !== undefined) return problem;
    }
    await nextTurn();
  }
  return undefined;
}

async function storeAnew(
  client: ApiClient,
  kind: DiscoveredKind,
  { metadata }: KubeObject,
): Promise<string | undefined> {
  const { namespace, name, uid, resourceVersion } = metadata ?? {};
  const same = {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: { namespace, name, uid, resourceVersion },
  };
  try {
    await client.apply(kind, same, { fieldManager });
    return undefined;
  } catch (error) {
    if (isConflict(error)) return undefined;
    if (mayPass(error)) throw error;
    return describeRefusal(error);
  }
}

/** What a server that is busy, or goes, answers. */
function mayPass(error: unknown): boolean {
  const code = apiFailureOf(error)?.code;
  return isConnectionFailure(error) || code === 429 || (code !== undefined && code >= 500);
}
