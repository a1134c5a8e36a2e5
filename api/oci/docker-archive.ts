/** manifest.json of `docker save`: which file of the archive is which image's config and layers. */
import { field, invalid, items, parseDocument, string, strings } from './document.ts';
import { layerCountMax } from './manifest.ts';

export interface DockerArchiveImage {
  readonly config: string; // path in the archive
  readonly layers: readonly string[]; // paths in the archive, bottom first
  readonly repoTags: readonly string[];
}

/** @throws E_INVALID */
export function parseDockerArchive(bytes: Uint8Array): readonly DockerArchiveImage[] {
  const images = items(parseDocument('manifest.json', bytes)).map((image) => ({
    config: string(field(image, 'Config')),
    layers: strings(field(image, 'Layers')),
    repoTags: strings(field(image, 'RepoTags')),
  }));
  if (images.length === 0) throw invalid('manifest.json', 'no images in it');
  const large = images.find((image) => image.layers.length > layerCountMax);
  if (large !== undefined)
    throw invalid('manifest.json', `more than ${layerCountMax} layers in ${large.config}`);
  return images;
}
