import { PodwrightError } from '#base/errors.ts';
import { claimFinalizer, consumerOf, isReservedFor } from '#api/device/pod-claims.ts';
import type {
  AllocationResult,
  Pod,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { resourceClaims } from '#api/schema/kind-ref.ts';
import { isConflict } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';

/** Writes of one claim against others who write it. */
const attemptsMax = 5;

export interface ClaimBinding {
  /** As it was last seen. */
  readonly claim: ResourceClaim;
  /** What it is given; undefined: it has devices. */
  readonly allocation?: AllocationResult;
  readonly pod: Pod;
}

/**
 * Writes that the pod uses the claim, and what that was given, with the finalizer that keeps it (bindClaim of DynamicResources). Others may
 * write the claim meanwhile. @throws {E_CONFLICT} when it is being deleted, or somebody else gave or took its devices
 */
export function bindClaim(
  client: ApiClient,
  { claim, allocation, pod }: ClaimBinding,
): Promise<ResourceClaim> {
  const uid = claim.metadata?.uid;
  return updateLatest(client, claim, async (latest) => {
    const gone = latest.metadata?.uid !== uid || latest.metadata?.deletionTimestamp !== undefined;
    if (gone) throw lost(latest, 'got deleted in the meantime');
    const isAllocated = latest.status?.allocation !== undefined;
    if (allocation !== undefined && isAllocated)
      throw lost(latest, 'got allocated elsewhere in the meantime');
    if (allocation === undefined && !isAllocated) throw lost(latest, 'got deallocated in the meantime');
    if (isReservedFor(latest, pod)) return latest;
    const kept = allocation === undefined ? latest : await withFinalizer(client, latest);
    const reservedFor = [...(kept.status?.reservedFor ?? []), consumerOf(pod)];
    const status = { ...kept.status, ...(allocation === undefined ? {} : { allocation }), reservedFor };
    return writeStatus(client, { ...kept, status });
  });
}

async function withFinalizer(client: ApiClient, claim: ResourceClaim): Promise<ResourceClaim> {
  const finalizers = claim.metadata?.finalizers ?? [];
  if (finalizers.includes(claimFinalizer)) return claim;
  const metadata = { ...claim.metadata, finalizers: [...finalizers, claimFinalizer] };
  return client.update(resourceClaims, { ...claim, metadata });
}

/** The claim gives its devices back, as long as it is as it was seen. @throws a conflict where it is not */
export function deallocateClaim(client: ApiClient, claim: ResourceClaim): Promise<ResourceClaim> {
  return writeStatus(client, { ...claim, status: {} });
}

/** The pod uses the claim no more. */
export function removeConsumer(client: ApiClient, claim: ResourceClaim, pod: Pod): Promise<ResourceClaim> {
  return updateLatest(client, claim, (latest) => {
    const { reservedFor = [] } = latest.status ?? {};
    const left = reservedFor.filter(({ uid }) => uid !== pod.metadata?.uid);
    if (left.length === reservedFor.length) return Promise.resolve(latest);
    return writeStatus(client, { ...latest, status: { ...latest.status, reservedFor: left } });
  });
}

function writeStatus(client: ApiClient, claim: ResourceClaim): Promise<ResourceClaim> {
  return client.update(resourceClaims, claim, { subresource: 'status' });
}

/** Writes it anew as long as others were first. @throws the last conflict */
export async function updateLatest(
  client: ApiClient,
  seen: ResourceClaim,
  write: (latest: ResourceClaim) => Promise<ResourceClaim>,
): Promise<ResourceClaim> {
  const { namespace = '', name = '' } = seen.metadata ?? {};
  let latest = seen;
  for (let attempt = 1; ; attempt++) {
    try {
      return await write(latest);
    } catch (error) {
      if (!isConflict(error) || attempt === attemptsMax) throw error;
      latest = await client.get(resourceClaims, { namespace, name });
    }
  }
}

function lost(claim: ResourceClaim, what: string): PodwrightError {
  return new PodwrightError('E_CONFLICT', `claim ${objectKey(claim)} ${what}`);
}
