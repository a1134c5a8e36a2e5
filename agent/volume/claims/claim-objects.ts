import { nodes, persistentVolumeClaims, persistentVolumes, type KindRef } from '#api/schema/kind-ref.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { volumeSize } from '#api/volume/claim.ts';
import { localVolumeNode } from '#api/volume/local-volumes.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';
import type { VolumeObjects } from '#agent/volume/volume.ts';
import type { LocalVolumes } from './local-volumes.ts';
import { readRecords } from './records.ts';

export interface ClaimObjectsOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  /** Below it the records of pods. */
  readonly podsDirectory: string;
  readonly localVolumes: LocalVolumes;
}

export type ClaimObjects = Pick<
  VolumeObjects,
  'claim' | 'persistentVolume' | 'node' | 'podsUsing' | 'noteMounted' | 'localVolumes'
>;

/** Claims and volumes, asked of the API each time: what a node may read of them are single objects that its pods name. */
export function createClaimObjects({
  client,
  nodeName,
  podsDirectory,
  localVolumes,
}: ClaimObjectsOptions): ClaimObjects {
  const find = async <T>(kind: KindRef<T>, where: ObjectRef): Promise<T | undefined> => {
    try {
      return await client.get(kind, where);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  return {
    localVolumes,
    claim: (namespace, name) => find(persistentVolumeClaims, { namespace, name }),
    persistentVolume: (name) => find(persistentVolumes, { name }),
    node: () => find(nodes, { name: nodeName }),
    podsUsing: async (claimUid) =>
      (await readRecords(podsDirectory))
        .filter((record) => record.claimUid === claimUid)
        .map(({ podUid, path }) => ({ podUid, hasIt: path !== undefined })),
    noteMounted: async (claim, volume) => {
      const grown = grownClaim(claim, volume);
      if (grown === undefined) return false;
      await client.update(persistentVolumeClaims, grown, { subresource: 'status' });
      return true;
    },
  };
}

/** Conditions and states of growth that are over when the node has done its part. */
const growing: ReadonlySet<string> = new Set(['FileSystemResizePending', 'Resizing']);

/** The claim as it is with the size that its volume has by now; undefined: it says so, or the volume is others' to grow. Pure. */
export function grownClaim(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
): PersistentVolumeClaim | undefined {
  if (localVolumeNode(volume) === undefined && volume.spec?.csi === undefined) return undefined;
  const told = tryParseQuantity(claim.status?.capacity?.['storage'])?.nanos ?? 0n;
  if (told >= volumeSize(volume)) return undefined;
  const { conditions = [], allocatedResourceStatuses, ...status } = claim.status ?? {};
  const { storage: _state, ...states } = allocatedResourceStatuses ?? {};
  return {
    ...claim,
    status: {
      ...status,
      capacity: { ...status.capacity, ...volume.spec?.capacity },
      conditions: conditions.filter(({ type }) => !growing.has(type)),
      ...(Object.keys(states).length === 0 ? {} : { allocatedResourceStatuses: states }),
    },
  };
}

/** The pods of the node that use a volume, by uid; also those that are about to. */
export async function podsWithVolume(podsDirectory: string, volume: string): Promise<readonly string[]> {
  return (await readRecords(podsDirectory))
    .filter((record) => record.volume === volume)
    .map(({ podUid }) => podUid);
}
