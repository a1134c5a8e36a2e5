import type { Node, PersistentVolumeClaim, StorageClass } from '#api/generated/objects.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';
import { requestedSize } from '#api/volume/claim.ts';
import type { VolumeLookUp } from './look-up.ts';

/**
 * Whether what the class's driver says it has left is enough for the claim on the node (hasEnoughCapacity of kube-scheduler's
 * VolumeBinding). A driver that does not say (CSIDriver storageCapacity) is asked when the volume is made. Pure.
 */
export function hasCapacity(
  claim: PersistentVolumeClaim,
  { node, storageClass }: { readonly node: Node; readonly storageClass: StorageClass },
  look: Pick<VolumeLookUp, 'csiDriver' | 'capacities'>,
): boolean {
  if (look.csiDriver?.(storageClass.provisioner)?.spec.storageCapacity !== true) return true;
  const size = requestedSize(claim);
  const found = look.capacities?.(storageClass.metadata?.name ?? '') ?? [];
  return found.some(({ capacity, maximumVolumeSize, nodeTopology }) => {
    const left = tryParseQuantity(maximumVolumeSize ?? capacity)?.nanos;
    if (left === undefined || left < size || nodeTopology === undefined) return false;
    return matchesLabels(labelSelectorFromObject(nodeTopology), node.metadata?.labels ?? {});
  });
}
