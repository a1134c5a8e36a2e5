import { builtInVersions } from '#api/schema/served-version.ts';
import type { GroupVersion } from '#api/schema/kinds.ts';
import { at, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { describeError } from '#base/errors.ts';
import { ownPriorities } from '#control-plane/apiserver/api-services.ts';
import { ensure } from '#control-plane/apiserver/ensure.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { deleteObject, plainDelete } from '#control-plane/apiserver/verbs/delete.ts';
import { apiServiceKind } from './aggregation.ts';

const managed = 'kube-aggregator.kubernetes.io/automanaged';

/**
 * An APIService for each group version that clients brought, as long as it is served. A change is looked at as far as it goes: with many
 * kinds that come at once, all of them would be work for each.
 */
export function keepLocalServices(context: ServerContext): Disposable {
  const touched = new Map<string, GroupVersion>();
  let isWorking = false;
  const work = async (): Promise<void> => {
    isWorking = true;
    for (const [name, groupVersion] of touched) {
      touched.delete(name);
      await settle(context, name, groupVersion).catch((error: unknown) => warn(context, error));
    }
    isWorking = false;
  };
  const touch = (groupVersions: Iterable<GroupVersion>): void => {
    for (const each of groupVersions) touched.set(`${each.version}.${each.group}`, each);
    if (!isWorking) void work();
  };
  void presentServices(context).then(
    (present) => touch([...present, ...context.kinds.versions]),
    (error: unknown) => warn(context, error),
  );
  return context.kinds.onChange(({ removed, added }) => touch([...removed, ...added]));
}

function warn({ logger, closing }: ServerContext, error: unknown): void {
  if (closing.aborted) return;
  logger.warn({ error: describeError(error) }, 'APIServices of custom kinds will be looked at again');
}

/** What those are of that a server made, perhaps one that ended since. */
async function presentServices({ registry }: ServerContext): Promise<readonly GroupVersion[]> {
  return (await registry.readAll(apiServiceKind, '')).filter(isOurs).map((object) => ({
    group: stringOf(at(object, 'spec.group')),
    version: stringOf(at(object, 'spec.version')),
  }));
}

async function settle(context: ServerContext, name: string, { group, version }: GroupVersion): Promise<void> {
  if (isBuiltIn({ group, version })) return;
  if (context.kinds.findVersion(group, version) !== undefined) {
    const { groupPriority: groupPriorityMinimum, versionPriority } = ownPriorities({ group, version });
    await ensure(context, apiServiceKind, {
      metadata: { name, labels: { [managed]: 'true' } },
      spec: { group, version, groupPriorityMinimum, versionPriority },
    });
    return;
  }
  const entry = await context.registry.read(apiServiceKind, '', name);
  if (entry === undefined || !isOurs(entry.object)) return;
  const options = plainDelete;
  await deleteObject(context, { kind: apiServiceKind, namespace: '', name, options, user: undefined });
}

function isBuiltIn({ group, version }: GroupVersion): boolean {
  return builtInVersions.some((known) => known.group === group && known.version === version);
}

/** Of a group version that came and went; those of a new cluster say otherwise. */
function isOurs(object: JsonObject): boolean {
  return (
    stringMapOf(at(object, 'metadata.labels'))[managed] === 'true' && at(object, 'spec.service') === undefined
  );
}
