import type { Pod } from '#api/generated/objects.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { pods } from '#api/schema/kind-ref.ts';
import type { ApiClient } from '#client/client.ts';

/** Pods whose deletion was accepted but that the cache still shows as they were: they count as going. */
export interface DeletedPods {
  /** Uids still to be seen going, among `owned`; the others are forgotten. */
  still(owner: string, owned: readonly Pod[]): ReadonlySet<string>;
  /** Deletes, and remembers. A pod that is gone, or another of its name, is done. */
  delete(client: ApiClient, owner: string, pod: Pod): Promise<void>;
  forget(owner: string): void;
}

export function createDeletedPods(): DeletedPods {
  const byOwner = new Map<string, Set<string>>();
  return {
    still: (owner, owned) => {
      const asked = byOwner.get(owner) ?? new Set();
      const uids = owned.flatMap(({ metadata }) =>
        metadata?.deletionTimestamp === undefined && asked.has(metadata?.uid ?? '')
          ? [metadata?.uid ?? '']
          : [],
      );
      const still = new Set(uids);
      if (still.size === 0) byOwner.delete(owner);
      else byOwner.set(owner, still);
      return still;
    },
    delete: async (client, owner, pod) => {
      const { namespace, name = '', uid = '' } = pod.metadata ?? {};
      try {
        await client.delete(pods, { namespace, name }, { preconditions: { uid } });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
      byOwner.set(owner, (byOwner.get(owner) ?? new Set()).add(uid));
    },
    forget: (owner) => void byOwner.delete(owner),
  };
}
