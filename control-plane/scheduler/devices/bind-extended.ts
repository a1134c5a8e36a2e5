/** Writes of the claim that stands for a pod's extended resources. */
import { claimFinalizer } from '#api/device/pod-claims.ts';
import type { Pod, ResourceV1ResourceClaim as ResourceClaim } from '#api/generated/objects.ts';
import { pods, resourceClaims } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { updateLatest } from './bind-claims.ts';
import type { ExtendedClaim } from './extended-claims.ts';

/** The server gives it its name. */
export function makeExtendedClaim(
  client: ApiClient,
  { metadata, spec }: ResourceClaim,
): Promise<ResourceClaim> {
  const { name: _name, uid: _uid, ...rest } = metadata ?? {};
  return client.create(resourceClaims, { metadata: rest, spec }, { namespace: metadata?.namespace ?? '' });
}

/** Which of its claim's requests each container of the pod has: its kubelet goes by that. */
export async function tellExtendedClaim(
  client: ApiClient,
  pod: Pod,
  { claim, mappings: requestMappings }: ExtendedClaim,
): Promise<void> {
  const { namespace = '', name = '', uid } = pod.metadata ?? {};
  const extendedResourceClaimStatus = { requestMappings, resourceClaimName: claim.metadata?.name ?? '' };
  const body = { metadata: { uid }, status: { extendedResourceClaimStatus } };
  await client.patch(pods, { namespace, name }, { kind: 'strategic', body, subresource: 'status' });
}

/** The pod does not come to the node after all; safe to repeat. */
export async function removeExtendedClaim(client: ApiClient, claim: ResourceClaim): Promise<void> {
  const { namespace = '', name = '', uid } = claim.metadata ?? {};
  try {
    await updateLatest(client, claim, async (latest) => {
      const finalizers = latest.metadata?.finalizers ?? [];
      if (latest.metadata?.uid !== uid || !finalizers.includes(claimFinalizer)) return latest;
      const left = finalizers.filter((each) => each !== claimFinalizer);
      return client.update(resourceClaims, { ...latest, metadata: { ...latest.metadata, finalizers: left } });
    });
    await client.delete(resourceClaims, { namespace, name }, { preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
