import { PodwrightError } from '#base/errors.ts';
import type { CSIVolumeSource } from '#api/generated/objects.ts';
import type { CsiVolumes, VolumeContext, VolumeKind } from '#agent/volume/volume.ts';

/** A volume that a driver makes for the pod alone, as the pod itself says. */
export const csi: VolumeKind<CSIVolumeSource> = {
  place: 'disk',
  mount: async (source, context) => driversOf(context).mountInline(source, context),
};

/** @throws {E_UNSUPPORTED} */
export function driversOf({ objects, volume }: Pick<VolumeContext, 'objects' | 'volume'>): CsiVolumes {
  if (objects.csi !== undefined) return objects.csi;
  throw new PodwrightError('E_UNSUPPORTED', `volume "${volume.name}": this node takes no drivers of CSI`);
}
