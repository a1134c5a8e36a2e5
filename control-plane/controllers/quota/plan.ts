import type { ResourceQuota, ResourceQuotaStatus } from '#api/generated/objects.ts';
import { addQuantity, formatQuantity, zeroQuantity } from '#api/meta/quantity.ts';
import { isCountedBy, kindsOfQuotaResource, usageIn, type KindName, type Usage } from '#api/quota/usage.ts';

/** The names of the kinds whose objects a quota counts, each once. The server may not have them. */
export function countedNames(quota: ResourceQuota): readonly KindName[] {
  const names = Object.keys(quota.spec?.hard ?? {}).flatMap(kindsOfQuotaResource);
  return [...new Map(names.map((name) => [`${name.group}/${name.resource}`, name])).values()];
}

/** The limits as they are, and how much of each is used; `usedOf` gives how much a kind's objects take of it. */
export function planQuotaStatus<K extends KindName>(
  quota: ResourceQuota,
  kinds: readonly K[],
  usedOf: (kind: K) => Usage,
): ResourceQuotaStatus {
  const hard = quota.spec?.hard ?? {};
  const used = kinds.map((kind) => ({ kind, usage: usedOf(kind) }));
  const told = Object.keys(hard).flatMap((name) => {
    const parts = used.flatMap(({ kind, usage }) => (isCountedBy(kind, name) ? [usageIn(usage, name)] : []));
    return parts.length === 0
      ? []
      : [[name, formatQuantity(parts.reduce(addQuantity, zeroQuantity))] as const];
  });
  return { hard, used: Object.fromEntries(told) };
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
