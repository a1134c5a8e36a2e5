/** The kinds of snapshot.storage.k8s.io/v1, as external-snapshotter has them; and by what names its parts know each other's work. */
import type { ObjectMeta, ObjectReference } from '#api/generated/objects.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';

export interface VolumeSnapshot {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: ObjectMeta;
  readonly spec: {
    readonly source: {
      readonly persistentVolumeClaimName?: string | undefined;
      readonly volumeSnapshotContentName?: string | undefined;
    };
    readonly volumeSnapshotClassName?: string | undefined;
  };
  readonly status?: VolumeSnapshotStatus | undefined;
}

export interface VolumeSnapshotStatus {
  readonly boundVolumeSnapshotContentName?: string | undefined;
  /** RFC 3339. */
  readonly creationTime?: string | undefined;
  readonly readyToUse?: boolean | undefined;
  /** A quantity. */
  readonly restoreSize?: string | undefined;
  readonly error?: SnapshotError | undefined;
}

export interface SnapshotError {
  readonly time?: string | undefined;
  readonly message?: string | undefined;
}

export interface VolumeSnapshotContent {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: ObjectMeta;
  readonly spec: {
    readonly volumeSnapshotRef: ObjectReference;
    readonly deletionPolicy: 'Delete' | 'Retain';
    readonly driver: string;
    readonly volumeSnapshotClassName?: string | undefined;
    readonly source: {
      readonly volumeHandle?: string | undefined;
      readonly snapshotHandle?: string | undefined;
    };
    readonly sourceVolumeMode?: string | undefined;
  };
  readonly status?: VolumeSnapshotContentStatus | undefined;
}

export interface VolumeSnapshotContentStatus {
  readonly snapshotHandle?: string | undefined;
  /** Nanoseconds since 1970. */
  readonly creationTime?: number | undefined;
  /** Bytes. */
  readonly restoreSize?: number | undefined;
  readonly readyToUse?: boolean | undefined;
  readonly error?: SnapshotError | undefined;
}

export interface VolumeSnapshotClass {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: ObjectMeta;
  readonly driver: string;
  readonly deletionPolicy: 'Delete' | 'Retain';
  readonly parameters?: Readonly<Record<string, string>>;
}

export const snapshotGroup = 'snapshot.storage.k8s.io';

const ref = <T>(kind: string, resource: string, namespaced: boolean): KindRef<T> => ({
  ...{ group: snapshotGroup, version: 'v1', kind, resource, namespaced },
});

export const volumeSnapshots: KindRef<VolumeSnapshot> = ref('VolumeSnapshot', 'volumesnapshots', true);
export const volumeSnapshotContents: KindRef<VolumeSnapshotContent> = ref(
  'VolumeSnapshotContent',
  'volumesnapshotcontents',
  false,
);
export const volumeSnapshotClasses: KindRef<VolumeSnapshotClass> = ref(
  'VolumeSnapshotClass',
  'volumesnapshotclasses',
  false,
);

/** While a claim may be made of it. */
export const asSourceFinalizer = 'snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection';
/** Until its content is gone. */
export const boundFinalizer = 'snapshot.storage.kubernetes.io/volumesnapshot-bound-protection';
export const contentFinalizer = 'snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection';
/** Of the claim that a snapshot is being taken of. */
export const claimFinalizer = 'snapshot.storage.kubernetes.io/pvc-as-source-protection';
export const defaultClassAnnotation = 'snapshot.storage.kubernetes.io/is-default-class';
export const beingDeletedAnnotation = 'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted';
/** The driver was asked, and has not answered for good. */
export const beingCreatedAnnotation = 'snapshot.storage.kubernetes.io/volumesnapshot-being-created';
export const deletionSecretAnnotation = 'snapshot.storage.kubernetes.io/deletion-secret-name';
export const deletionSecretNamespaceAnnotation = 'snapshot.storage.kubernetes.io/deletion-secret-namespace';
export const modeChangeAnnotation = 'snapshot.storage.kubernetes.io/allow-volume-mode-change';

export function contentNameOf({ metadata }: VolumeSnapshot): string {
  return `snapcontent-${metadata?.uid ?? ''}`;
}

/** That both mean each other. */
export function pointsAt({ spec }: VolumeSnapshotContent, { metadata }: VolumeSnapshot): boolean {
  const { name, namespace, uid } = spec.volumeSnapshotRef;
  return name === metadata?.name && namespace === metadata?.namespace && uid === metadata?.uid;
}
