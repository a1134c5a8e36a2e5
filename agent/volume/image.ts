import type { ImageVolumeSource } from '#api/generated/objects.ts';
import type { VolumeKind } from './volume.ts';

/**
 * The files of an image (KEP-4639). It is pulled as images of containers are, and mounted by the runtime with each container that wants it:
 * there is nothing to be made here.
 */
export const image: VolumeKind<ImageVolumeSource> = {
  place: 'none',
  mount: async () => ({ path: '', isReadOnly: true, isImage: true }),
};
