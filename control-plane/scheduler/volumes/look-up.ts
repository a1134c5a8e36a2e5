import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  VolumeAttachment,
} from '#api/generated/objects.ts';

/** What a decision may ask about claims and volumes. */
export interface VolumeLookUp {
  /** By `namespace/name`. */
  readonly claim: (key: string) => PersistentVolumeClaim | undefined;
  readonly volume: (name: string) => PersistentVolume | undefined;
  readonly storageClass: (name: string) => StorageClass | undefined;
  /** Volumes that are nobody's, of the class, and those that name the claim. */
  readonly offered: (className: string, claimKey: string) => readonly PersistentVolume[];
  /** Whether a volume was given to another claim just now, and does not say so yet. */
  readonly isTaken: (volume: PersistentVolume, claimKey: string) => boolean;
  /** The node that was just chosen for a claim, which does not say so yet. */
  readonly chosenNode: (claimKey: string) => string | undefined;
  /** Names of the nodes of pods that are placed, or were just decided, and use the claim. */
  readonly usedOn: (claimKey: string) => readonly string[];
  /** What drivers of volumes a node has; undefined: it did not say. */
  readonly csiNode?: (name: string) => CSINode | undefined;
  /** What is attached to a node, or on its way there or away, whoever uses it. */
  readonly attachments?: (nodeName: string) => readonly VolumeAttachment[];
  readonly csiDriver?: (name: string) => CSIDriver | undefined;
  /** What of a class is left, where. */
  readonly capacities?: (className: string) => readonly CSIStorageCapacity[];
}
