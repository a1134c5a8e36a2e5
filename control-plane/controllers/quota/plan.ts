import type { JsonObject } from '#api/meta/object.ts';
import type { ResourceQuota, ResourceQuotaStatus } from '#api/generated/objects.ts';
import { addQuantity, formatQuantity, zeroQuantity } from '#api/meta/quantity.ts';
import { isInScope } from '#api/quota/scope.ts';
import { isCountedBy, kindOfQuotaResource, usageIn, usageOf, type KindName } from '#api/quota/usage.ts';

/** The names of the kinds whose objects a quota counts, each once. The server may not have them. */
export function countedNames(quota: ResourceQuota): readonly KindName[] {
  const names = Object.keys(quota.spec?.hard ?? {})
    .map(kindOfQuotaResource)
    .filter((name) => name !== undefined);
  return [...new Map(names.map((name) => [`${name.group}/${name.resource}`, name])).values()];
}

/** The limits as they are, and how much of each is used. `objectsOf` gives a kind's objects in the quota's namespace. */
export function planQuotaStatus<K extends KindName>(
  quota: ResourceQuota & JsonObject,
  kinds: readonly K[],
  objectsOf: (kind: K) => readonly JsonObject[],
): ResourceQuotaStatus {
  const hard = quota.spec?.hard ?? {};
  const objects = kinds.map((kind) => ({
    kind,
    own: objectsOf(kind).filter((object) => isInScope(quota, kind, object)),
  }));
  const used = Object.keys(hard).flatMap((name) =>
    objects.flatMap(({ kind, own }) => {
      if (!isCountedBy(kind, name)) return [];
      const total = own
        .map((object) => usageIn(usageOf(kind, object), name))
        .reduce(addQuantity, zeroQuantity);
      return [[name, formatQuantity(total)] as const];
    }),
  );
  return { hard, used: Object.fromEntries(used) };
}

/** The status with what is used by objects of these kinds as it was told before, if it was. */
export function asToldOf(
  kinds: readonly KindName[],
  status: ResourceQuotaStatus,
  told: ResourceQuotaStatus | undefined,
): ResourceQuotaStatus {
  const used = Object.entries(status.used ?? {}).map(([name, quantity]) => {
    const isTold = kinds.some((kind) => isCountedBy(kind, name));
    return [name, isTold ? (told?.used?.[name] ?? quantity) : quantity] as const;
  });
  return { ...status, used: Object.fromEntries(used) };
}
