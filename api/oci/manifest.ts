/**
 * Image manifests and indexes: OCI image specification 1.1 and Docker schema 2, which differ only in media types.
 */
import { PodwrightError } from '#base/errors.ts';
import {
  digest,
  field,
  invalid,
  items,
  optionalString,
  parseDocument,
  shortened,
  size,
  stringMap,
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

/** As in a platform object of an index: Go's GOOS and GOARCH names. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | undefined;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platform: Platform | undefined;
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

/** The platform of a machine, from Node's `process.arch`. */
export function platformOf(nodeArchitecture: string): Platform {
  const architecture = { x64: 'amd64', arm64: 'arm64' }[nodeArchitecture] ?? nodeArchitecture;
  return { os: 'linux', architecture, variant: architecture === 'arm64' ? 'v8' : undefined };
}

export function formatPlatform(platform: Platform): string {
  return `${platform.os}/${platform.architecture}`;
}

export function isPlatformEqual(offered: Platform, wanted: Platform): boolean {
  return (
    offered.os === wanted.os &&
    offered.architecture === wanted.architecture &&
    (offered.variant === undefined || wanted.variant === undefined || offered.variant === wanted.variant)
  );
}

/**
 * The manifest of an index for a machine: the first that names its platform, else the only one that names none.
 * @throws E_INVALID with what the index offers
 */
export function choosePlatform(
  manifests: readonly Descriptor[],
  wanted: Platform,
  image: string,
): Descriptor {
  // BuildKit adds attestations as unknown/unknown; they are not for running.
  const images = manifests.filter((each) => each.platform?.os !== 'unknown');
  const named = images.find((each) => each.platform !== undefined && isPlatformEqual(each.platform, wanted));
  const unnamed = images.filter((each) => each.platform === undefined);
  const chosen = named ?? (unnamed.length === 1 ? unnamed[0] : undefined);
  if (chosen !== undefined) return chosen;
  const offers = [
    ...new Set(images.flatMap((each) => (each.platform ? [formatPlatform(each.platform)] : []))),
  ];
  throw platformError(image, offers.length === 0 ? 'no platform' : offers.join(', '), wanted);
}

export function platformError(image: string, offered: string, wanted: Platform): PodwrightError {
  return new PodwrightError(
    'E_INVALID',
    `use image ${shortened(image)}: it is for ${shortened(offered)}, this machine is ${formatPlatform(wanted)}`,
    { detail: { reason: 'platform' } },
  );
}
