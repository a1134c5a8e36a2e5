import type {
  ClusterTrustBundle,
  ConfigMap,
  CSIVolumeSource,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Volume,
} from '#api/generated/objects.ts';
import type { CertificateWish, PodCertificate } from './certificates/pod-certificates.ts';
import type { VolumePlugin } from './counts/volume-counts.ts';
import type { LocalVolumes } from './claims/local-volumes.ts';
import type { ContentRoom } from './content-room.ts';
import type { KubeletView } from './csi/kubelet-view.ts';
import type { NfsWish } from './nfs/plan-nfs.ts';
import type { DeviceMount } from './device/mount-device.ts';

/**
 * How volumes come to a pod. A kind of volume is one entry of the table in `volume-kinds.ts`, keyed by the field of
 * `spec.volumes[]` that asks for it; a field without an entry is refused by name (`FailedMount`), never ignored.
 */
export interface VolumeKind<Source> {
  /** Where its files live: a disk, or memory for what must not be written to one; `none` for paths of the host. */
  readonly place: 'disk' | 'memory' | 'none';
  /**
   * Makes the volume so and says where it is. Called again to refresh, after an agent restart and after a failure: safe to
   * repeat, and running containers see either the old content or the new. @throws PodwrightError whose message is the event's
   */
  mount(source: Source, context: VolumeContext): Promise<MountedVolume>;
  /** Undoes what removing the volume's directory does not. */
  unmount?(context: Pick<VolumeContext, 'directory' | 'mounter'>): Promise<void>;
}

/** By field of a volume. */
export type VolumeKinds = { readonly [Field in keyof Volume]?: VolumeKind<NonNullable<Volume[Field]>> };

export interface VolumeContext {
  readonly pod: Pod;
  readonly volume: Volume;
  /** The volume's own, absolute; made by the kind. */
  readonly directory: string;
  /** All group ownership of files that the volume makes; undefined leaves root. */
  readonly fsGroup: number | undefined;
  readonly objects: VolumeObjects;
  /** For the files that the volume makes of API data: asked before each is made. */
  readonly content: ContentRoom;
  /** What the node has for all pods together. */
  readonly allocatable?: { readonly memoryBytes: number } | undefined;
  readonly mounter: Mounter;
  /** What stands in for /var/lib/kubelet; undefined: nothing does. */
  readonly view?: KubeletView | undefined;
  /** Values of the downward API. */
  readonly downward: DownwardValues;
  /** Told who mounts the volume of a claim, once that is known. */
  readonly tellPlugin?: ((plugin: VolumePlugin) => void) | undefined;
  readonly now: number;
  readonly signal: AbortSignal;
}

export interface MountedVolume {
  readonly path: string;
  /** Kept from being written whatever the mount says (ConfigMaps and their like). */
  readonly isReadOnly?: boolean;
  /** A block device, which containers get as such: it is mounted nowhere. */
  readonly device?: { readonly major: number; readonly minor: number; readonly mode: number };
  /** A directory of a server, which is not looked at: that may take as long as the server is away. */
  readonly isRemote?: boolean;
  /** Files of an image, which the runtime mounts: there is no path. */
  readonly isImage?: boolean;
  /** Just now the claim was told of a larger size. */
  readonly isGrown?: boolean;
  /** The driver has not enlarged it as it should; with a message, it was just asked to. */
  readonly notGrown?: { readonly message?: string };
  /** When the content has to be made again (tokens). */
  readonly refreshAtMs?: number | undefined;
}

/** The API objects that a pod's volumes refer to. */
export interface VolumeObjects {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  /** All that there are; undefined: the server has no such kind. Left out: nobody can be asked. */
  trustBundles?(): Promise<readonly ClusterTrustBundle[] | undefined>;
  /** A certificate of the pod and its key. Left out: nobody can be asked. */
  podCertificate?(wish: CertificateWish): Promise<PodCertificate>;
  /** A token bound to the pod. Tokens are kept while they are good for long enough. */
  serviceAccountToken(request: TokenWish): Promise<ServiceAccountToken>;
  /** As they are now, not as they were seen last. */
  claim(namespace: string, name: string): Promise<PersistentVolumeClaim | undefined>;
  /** One that the node makes may be as it was seen last, where that is the claim's. */
  persistentVolume(name: string, claimUid: string): Promise<PersistentVolume | undefined>;
  /** The pod's own; undefined: it is not there. */
  node(): Promise<Node | undefined>;
  /** It as it was seen last, seconds ago. Left out: nobody looks. */
  seenNode?(): Node | undefined;
  /** The node's pods that use the claim with this uid, or are about to. */
  podsUsing(claimUid: string): Promise<readonly { readonly podUid: string; readonly hasIt: boolean }[]>;
  /** The claim's volume is the pod's: what the claim says of its size may be old, and is told then. Whether it was. */
  noteMounted(claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<boolean>;
  /** Writes the claim's status, if it is still of that revision; the claim as it is then. */
  tellClaim(claim: PersistentVolumeClaim): Promise<PersistentVolumeClaim>;
  /** Those that the node makes itself. */
  readonly localVolumes: LocalVolumes;
  /** Those of drivers; undefined: this node has none. */
  readonly csi?: CsiVolumes | undefined;
}

export interface TokenWish {
  readonly pod: Pod;
  readonly audience: string | undefined;
  readonly expirationSeconds: number;
}

export interface ServiceAccountToken {
  readonly token: string;
  /** As the server wrote it (RFC 3339). */
  readonly expirationTimestamp?: string;
  readonly refreshAtMs: number;
}

export interface DownwardValues {
  /** `metadata.labels`, `status.podIP`, … @throws E_INVALID for a path that is none. */
  field(fieldPath: string): string;
  /** `limits.cpu` of a container in units of the divisor. */
  resource(containerName: string, resource: string, divisor: string | undefined): string;
}

export interface HugePagesOptions {
  readonly pageBytes: number;
  readonly mode: number;
  readonly gid?: number | undefined;
}

export interface TmpfsOptions {
  /** Undefined leaves the kernel's half of the host's memory. */
  readonly sizeBytes: number | undefined;
  /** Of its root, from the first moment on. */
  readonly mode: number;
  readonly gid?: number | undefined;
}

/** Mounts in the agent's own mount namespace. */
export interface Mounter {
  /** Recursive; the target exists and is of the source's kind. */
  bind(source: string, target: string): void;
  tmpfs(target: string, options: TmpfsOptions): void;
  /** A share of an NFS server. @throws PodwrightError whose message is the event's */
  nfs(target: string, wish: NfsWish, signal: AbortSignal): Promise<void>;
  /** The file system of a block device, which gets one if it is empty. @throws PodwrightError whose message is the event's */
  device: DeviceMount;
  /** hugetlbfs: files of pages of one size (Documentation/admin-guide/mm/hugetlbpage.rst). */
  hugePages(target: string, options: HugePagesOptions): void;
  /** Whether there was one. */
  unmount(target: string): boolean;
  isMountPoint(path: string): boolean;
}

/** What pods' volumes ask of drivers. */
export interface CsiVolumes {
  /** The volume of a claim. */
  mountVolume(wish: ClaimWish, context: VolumeContext): Promise<MountedVolume>;
  /** One that is written in the pod, and is its alone. */
  mountInline(source: CSIVolumeSource, context: VolumeContext): Promise<MountedVolume>;
  /** Undoes all of a pod, by what is written in its directory. Safe to repeat. @throws when a driver is not there, or refuses */
  unmountPod(podDirectory: string): Promise<void>;
  /** Undoes what was staged for pods that are gone. @throws the first failure, after what can be done */
  unstageUnused(driver: string): Promise<void>;
  /** The same of all drivers that are there, beside and until it is done: a pod's data went without its drivers. */
  unstageSoon(): void;
  /** Names as a Node's status has them. */
  volumesInUse(): Promise<readonly string[]>;
}

export interface ClaimWish {
  readonly volume: PersistentVolume;
  readonly claim: PersistentVolumeClaim;
  readonly isReadOnly: boolean;
  /** Undefined: it is as large as it is to be, as far as the node has to do with it. */
  readonly expansion?: Expansion | undefined;
}

/** The driver's part on the node of a volume that was enlarged, and what the claim is told of it. */
export interface Expansion {
  readonly bytes: number;
  /** Before the driver is asked. */
  begin(): Promise<void>;
  /** What it said against it. Whether the pod is to have the volume as it is; else the mount has failed. */
  fail(error: unknown): Promise<boolean>;
}
