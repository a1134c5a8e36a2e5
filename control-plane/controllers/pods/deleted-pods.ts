import type { Pod } from '#api/generated/objects.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { objectKey } from '#api/meta/object.ts';
import { pods } from '#api/schema/kind-ref.ts';
import type { ApiClient } from '#client/client.ts';

/** Pods whose deletion was accepted but that the cache still shows as they were: they count as going. */
export interface DeletedPods {
  /** Those still to be seen going, by uid; the others are forgotten. `podOf`: an owner's pod by its key. */
  still(owner: string, podOf: (key: string) => Pod | undefined): ReadonlyMap<string, Pod>;
  /** Deletes, and remembers. A pod that is gone, or another of its name, is done. */
  delete(client: ApiClient, owner: string, pod: Pod): Promise<void>;
  forget(owner: string): void;
}

export function createDeletedPods(): DeletedPods {
  /** By owner, from uid to key. */
  const byOwner = new Map<string, Map<string, string>>();
  return {
    still: (owner, podOf) => {
      const asked = byOwner.get(owner) ?? new Map<string, string>();
      const still = new Map<string, Pod>();
      for (const [uid, key] of asked) {
        const pod = podOf(key);
        if (pod?.metadata?.uid === uid && pod.metadata.deletionTimestamp === undefined) still.set(uid, pod);
        else asked.delete(uid);
      }
      if (asked.size === 0) byOwner.delete(owner);
      return still;
    },
    delete: async (client, owner, pod) => {
      const { namespace, name = '', uid = '' } = pod.metadata ?? {};
      try {
        await client.delete(pods, { namespace, name }, { preconditions: { uid } });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
      const asked = byOwner.get(owner) ?? new Map<string, string>();
      byOwner.set(owner, asked.set(uid, objectKey(pod)));
    },
    forget: (owner) => void byOwner.delete(owner),
  };
}
