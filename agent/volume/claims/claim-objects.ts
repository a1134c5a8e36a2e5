import { nodes, persistentVolumeClaims, persistentVolumes, type KindRef } from '#api/schema/kind-ref.ts';
import type { Node, PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';
import type { VolumeObjects } from '#agent/volume/volume.ts';
import type { LocalVolumes } from './local-volumes.ts';
import { grownClaim } from './expansion.ts';
import { readRecords } from './records.ts';

export interface ClaimObjectsOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  /** Below it the records of pods. */
  readonly podsDirectory: string;
  readonly localVolumes: LocalVolumes;
  /** The volume of that name if the node makes it, as the watch told of it last; what removes it goes by the same. */
  readonly madeHere: (name: string) => PersistentVolume | undefined;
  /** The Node as it was seen last. */
  readonly seen?: (() => Node | undefined) | undefined;
}

export type ClaimObjects = Pick<
  VolumeObjects,
  | 'claim'
  | 'persistentVolume'
  | 'node'
  | 'seenNode'
  | 'podsUsing'
  | 'noteMounted'
  | 'tellClaim'
  | 'localVolumes'
>;

/** Claims and volumes, asked of the API each time but for what the node makes: what it may read of them are single objects that its pods name. */
export function createClaimObjects({
  client,
  nodeName,
  podsDirectory,
  localVolumes,
  madeHere,
  seen,
}: ClaimObjectsOptions): ClaimObjects {
  const find = async <T>(kind: KindRef<T>, where: ObjectRef): Promise<T | undefined> => {
    try {
      return await client.get(kind, where);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  const tellClaim = (claim: PersistentVolumeClaim): Promise<PersistentVolumeClaim> =>
    client.update(persistentVolumeClaims, claim, { subresource: 'status' });
  return {
    localVolumes,
    claim: (namespace, name) => find(persistentVolumeClaims, { namespace, name }),
    persistentVolume: async (name, claimUid) => {
      const known = madeHere(name);
      return known?.spec?.claimRef?.uid === claimUid ? known : find(persistentVolumes, { name });
    },
    node: () => find(nodes, { name: nodeName }),
    seenNode: () => seen?.(),
    podsUsing: async (claimUid) =>
      (await readRecords(podsDirectory))
        .filter((record) => record.claimUid === claimUid)
        .map(({ podUid, path }) => ({ podUid, hasIt: path !== undefined })),
    noteMounted: async (claim, volume) => {
      const grown = grownClaim(claim, volume);
      if (grown === undefined) return false;
      await tellClaim(grown);
      return true;
    },
    tellClaim,
  };
}

/** The pods of the node that use a volume, by uid; also those that are about to. */
export async function podsWithVolume(podsDirectory: string, volume: string): Promise<readonly string[]> {
  return (await readRecords(podsDirectory))
    .filter((record) => record.volume === volume)
    .map(({ podUid }) => podUid);
}
