import { findCondition } from '#api/meta/condition.ts';
import type { ServiceCIDR } from '#api/generated/objects.ts';
import { typed } from '#api/wire/json.ts';
import { formatCidr, networkOf, parseCidr, type Cidr } from '#base/ip.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { mirrorKind, type MirrorParts } from '#control-plane/apiserver/objects/mirror.ts';
import type { ServiceAllocators } from './allocators.ts';

/** Gives Services addresses of the ServiceCIDRs that are ready, beside the server's own (KEP-1880). Resolves when all are known. */
export async function keepServiceRanges(
  parts: MirrorParts,
  allocators: ServiceAllocators,
): Promise<Disposable> {
  const byKey = new Map<string, readonly Cidr[]>();
  const own = new Set(allocators.cidrs.flatMap((text) => parseCidr(text) ?? []).map(textOf));
  const tell = (): void => {
    const added = [...byKey.values()].flat().filter((network) => !own.has(textOf(network)));
    allocators.setAdded([...new Map(added.map((network) => [textOf(network), network])).values()]);
  };
  return mirrorKind(parts, builtIn('networking.k8s.io', 'v1', 'servicecidrs'), {
    put: ({ key, object }) => {
      byKey.set(key, networksToGive(typed<ServiceCIDR>(object)));
      tell();
    },
    remove: (key) => {
      byKey.delete(key);
      tell();
    },
  });
}

/** Of one that goes, or is not ready yet, none: addresses that were given are kept by the controller's finalizer. Pure. */
export function networksToGive({ metadata, spec, status }: ServiceCIDR): readonly Cidr[] {
  const isReady = findCondition(status?.conditions, 'Ready')?.status === 'True';
  if (!isReady || metadata?.deletionTimestamp !== undefined) return [];
  return (spec?.cidrs ?? []).flatMap((text) => parseCidr(text) ?? []).map(networkOf);
}

function textOf(network: Cidr): string {
  return formatCidr(networkOf(network));
}
