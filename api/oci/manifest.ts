/**
 * Image manifests and indexes: OCI image specification 1.1 and Docker schema 2, which differ only in media types.
 */
import { PodwrightError } from '#base/errors.ts';
import { isUnnamed, rankPlatform, type Platform } from './platform.ts';
import {
  digest,
  field,
  invalid,
  items,
  optionalString,
  parseDocument,
  size,
  stringMap,
  strings,
  type Place,
} from './document.ts';

export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
} as const;

/** The Accept header of a manifest request. */
export const manifestAccept: string = [
  mediaTypes.ociIndex,
  mediaTypes.dockerList,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
].join(', ');

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platform: Platform | undefined;
  /** Where else it may be had (HTTP), as layers that registries may not give on. */
  readonly urls: readonly string[];
}

export type Manifest =
  | { readonly kind: 'manifest'; readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  | { readonly kind: 'index'; readonly manifests: readonly Descriptor[] };

/** Layers of an image: as many lower directories as overlayfs takes (OVL_MAX_STACK); Docker makes at most 127. */
export const layerCountMax = 500;

/** @throws E_INVALID, E_UNSUPPORTED (schema 1, artifacts that are no image) */
export function parseManifest(bytes: Uint8Array): Manifest {
  const document = parseDocument('image manifest', bytes);
  if (field(document, 'schemaVersion').value !== 2) {
    throw new PodwrightError('E_UNSUPPORTED', 'read image manifest: only schema version 2 is known');
  }
  const mediaType = optionalString(field(document, 'mediaType'));
  const manifests = field(document, 'manifests');
  if (
    mediaType === mediaTypes.ociIndex ||
    mediaType === mediaTypes.dockerList ||
    manifests.value !== undefined
  ) {
    if (field(document, 'layers').value !== undefined)
      throw invalid('image manifest', 'both an index and a manifest');
    return { kind: 'index', manifests: items(manifests).map(readDescriptor) };
  }
  const layers = items(field(document, 'layers')).map(readDescriptor);
  if (layers.length > layerCountMax) throw invalid('image manifest', `more than ${layerCountMax} layers`);
  return { kind: 'manifest', config: readDescriptor(field(document, 'config')), layers };
}

function readDescriptor(place: Place): Descriptor {
  const platform = field(place, 'platform');
  return {
    mediaType: optionalString(field(place, 'mediaType')) ?? '',
    digest: digest(field(place, 'digest')),
    sizeBytes: size(field(place, 'size')),
    annotations: stringMap(field(place, 'annotations')),
    urls: strings(field(place, 'urls')).filter((url) => /^https?:\/\//.test(url) && URL.canParse(url)),
    platform:
      platform.value === undefined
        ? undefined
        : {
            os: optionalString(field(platform, 'os')) ?? '',
            architecture: optionalString(field(platform, 'architecture')) ?? '',
            variant: optionalString(field(platform, 'variant')),
          },
  };
}

/**
 * The manifests of an index that may be an image for a machine, best first: those that name its platform, then those that name none,
 * which must be looked at. The order of the index decides between equals.
 */
export function orderManifests(manifests: readonly Descriptor[], machine: Platform): readonly Descriptor[] {
  const ranked = manifests.flatMap((manifest) => {
    const { platform } = manifest;
    if (platform === undefined || isUnnamed(platform)) return [{ manifest, rank: Infinity }];
    // BuildKit's attestations are for unknown/unknown, which no machine is.
    const rank = rankPlatform(platform, machine);
    return rank === undefined ? [] : [{ manifest, rank }];
  });
  return ranked.toSorted((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank)).map(({ manifest }) => manifest);
}
