import type { Volume } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import { configMap, downwardApi, projected, secret } from './api-data.ts';
import { ephemeral, persistentVolumeClaim } from './claims/claim-volume.ts';
import { csi } from './csi/inline-volume.ts';
import { emptyDir } from './empty-dir.ts';
import { hostPath } from './host-path.ts';
import { image } from './image.ts';
import { nfs } from './nfs/nfs.ts';
import type { MountedVolume, VolumeContext, VolumeKind, VolumeKinds } from './volume.ts';

/** Every kind of volume that a pod of this node may have. A new kind is a file beside this one and a line here. */
export const volumeKinds: VolumeKinds = {
  emptyDir,
  configMap,
  secret,
  projected,
  downwardAPI: downwardApi,
  hostPath,
  persistentVolumeClaim,
  ephemeral,
  csi,
  image,
  nfs,
};

/** A volume's kind bound to its source, so that callers need not know which it is. */
export interface BoundVolume {
  readonly field: string;
  readonly place: VolumeKind<unknown>['place'];
  mount(context: VolumeContext): Promise<MountedVolume>;
  unmount(context: Pick<VolumeContext, 'directory' | 'mounter'>): Promise<void>;
}

/** @throws {E_UNSUPPORTED} naming the field, for a kind that this node does not have. */
export function bindVolume(volume: Volume, kinds: VolumeKinds = volumeKinds): BoundVolume {
  for (const field of fieldsOf(kinds)) {
    const bound = bindField(volume, field, kinds);
    if (bound !== undefined) return bound;
  }
  const field = Object.keys(volume).find((key) => key !== 'name') ?? 'source';
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `volume "${volume.name}": kind ${field} is not supported by this node`,
  );
}

function bindField<Field extends keyof Volume>(
  volume: Volume,
  field: Field,
  kinds: VolumeKinds,
): BoundVolume | undefined {
  const source = volume[field];
  const kind: VolumeKind<NonNullable<Volume[Field]>> | undefined = kinds[field];
  if (source === undefined || source === null || kind === undefined) return undefined;
  return {
    field,
    place: kind.place,
    mount: (context) => kind.mount(source, context),
    unmount: async (context) => kind.unmount?.(context),
  };
}

function fieldsOf(kinds: VolumeKinds): readonly (keyof Volume)[] {
  const isField = (key: string): key is keyof Volume => key in kinds;
  return Object.keys(kinds).filter(isField);
}
