import { persistentVolumeClaims } from '#api/schema/kind-ref.ts';
import type { PersistentVolumeClaim, PersistentVolumeClaimStatus } from '#api/generated/objects.ts';
import { equalJson, objectOf } from '#api/wire/json.ts';
import type { CsiContext } from './csi-context.ts';

/** The status of that very claim as `change` has it, of what it is now; nothing is written where that is what it says. */
export async function changeClaimStatus(
  { client, informers }: Pick<CsiContext, 'client' | 'informers'>,
  { metadata }: PersistentVolumeClaim,
  change: (status: PersistentVolumeClaimStatus) => PersistentVolumeClaimStatus,
): Promise<void> {
  const { namespace, name = '' } = metadata ?? {};
  const claim = await client.get(persistentVolumeClaims, { namespace, name });
  if (claim.metadata?.uid !== metadata?.uid) return;
  const status = change(claim.status ?? {});
  if (equalJson(objectOf(status), objectOf(claim.status))) return;
  const written = await client.update(
    persistentVolumeClaims,
    { ...claim, status },
    { subresource: 'status' },
  );
  informers.for(persistentVolumeClaims).observe(written);
}
