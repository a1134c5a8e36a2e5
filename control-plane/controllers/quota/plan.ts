import { kinds, type Kind } from '#api/kinds.ts';
import type { JsonObject } from '#api/object.ts';
import type { ResourceQuota, ResourceQuotaStatus } from '#api/objects.ts';
import { addQuantity, formatQuantity, zeroQuantity } from '#api/quantity.ts';
import { isInScope } from '#api/quota/scope.ts';
import { kindOfQuotaResource, usageReader } from '#api/quota/usage.ts';

/** The kinds whose objects a quota counts, each once. Kinds that the server does not have are left out. */
export function countedKinds(quota: ResourceQuota): readonly Kind[] {
  const found = Object.keys(quota.spec?.hard ?? {}).flatMap((name) => {
    const counted = kindOfQuotaResource(name);
    if (counted === undefined) return [];
    const { group, resource } = counted;
    const kind = kinds.find((one) => one.group === group && one.resource === resource);
    return kind === undefined || !kind.namespaced ? [] : [kind];
  });
  return [...new Set(found)];
}

/** Whether no more than the metadata of the kind's objects is needed to count them. */
export function isCountedOnly({ group, resource }: Kind): boolean {
  return group !== '' || !['pods', 'services', 'persistentvolumeclaims'].includes(resource);
}

/** The limits as they are, and how much of each is used. `objectsOf` gives a kind's objects in the quota's namespace. */
export function planQuotaStatus(
  quota: ResourceQuota & JsonObject,
  objectsOf: (kind: Kind) => readonly JsonObject[],
): ResourceQuotaStatus {
  const hard = quota.spec?.hard ?? {};
  const objects = countedKinds(quota).map((kind) => ({
    kind,
    own: objectsOf(kind).filter((object) => isInScope(quota, kind, object)),
  }));
  const used = Object.keys(hard).flatMap((name) =>
    objects.flatMap(({ kind, own }) => {
      const read = usageReader(kind, name);
      if (read === undefined) return [];
      const total = own.map((object) => read(object).total).reduce(addQuantity, zeroQuantity);
      return [[name, formatQuantity(total)] as const];
    }),
  );
  return { hard, used: Object.fromEntries(used) };
}
