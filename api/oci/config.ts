/** The image configuration (OCI image specification, config.md; Docker's is a superset of which the same fields count). */
import {
  digest,
  field,
  invalid,
  items,
  keys,
  optionalString,
  parseDocument,
  stringMap,
  strings,
} from './document.ts';
import { layerCountMax } from './manifest.ts';
import { isUnnamed, platformError, rankPlatform, type Platform } from './platform.ts';

export interface ImageConfig {
  readonly platform: Platform;
  readonly createdAt: string | undefined; // RFC 3339
  /** Digests of the uncompressed layers, bottom first. */
  readonly diffIds: readonly string[];
  readonly user: string; // '', uid, name, uid:gid, name:group
  readonly env: readonly string[]; // NAME=value
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string; // '' is /
  readonly exposedPorts: readonly string[]; // 80/tcp
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal: string | undefined;
}

/** @throws E_INVALID */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const document = parseDocument('image config', bytes);
  const config = field(document, 'config');
  const of = (name: string): ReturnType<typeof field> =>
    config.value === undefined ? { value: undefined, path: name } : field(config, name);
  const rootfs = field(document, 'rootfs');
  if (rootfs.value === undefined)
    throw invalid('image config', 'it names no layers (rootfs), so it is none of an image');
  const type = optionalString(field(rootfs, 'type'));
  if (type !== undefined && type !== 'layers')
    throw invalid('image config', `rootfs type ${JSON.stringify(type)} is not "layers"`);
  const diffIds = items(field(rootfs, 'diff_ids')).map(digest);
  if (diffIds.length > layerCountMax) throw invalid('image config', `more than ${layerCountMax} layers`);
  return {
    platform: {
      os: optionalString(field(document, 'os')) ?? '',
      architecture: optionalString(field(document, 'architecture')) ?? '',
      variant: optionalString(field(document, 'variant')),
    },
    createdAt: optionalString(field(document, 'created')),
    diffIds,
    user: optionalString(of('User')) ?? '',
    env: strings(of('Env')),
    entrypoint: commandOf(of('Entrypoint')),
    cmd: commandOf(of('Cmd')),
    workingDir: optionalString(of('WorkingDir')) ?? '',
    exposedPorts: keys(of('ExposedPorts')),
    volumes: keys(of('Volumes')),
    labels: stringMap(of('Labels')),
    stopSignal: optionalString(of('StopSignal')),
  };
}

/** Old builders wrote a bare string. */
function commandOf(place: ReturnType<typeof field>): readonly string[] {
  return typeof place.value === 'string' ? [place.value] : strings(place);
}

/** An image that names no platform says nothing against any. @throws E_INVALID when it was built for another kind of machine */
export function requirePlatform({ platform }: ImageConfig, wanted: Platform, image: string): void {
  if (isUnnamed(platform) || rankPlatform(platform, wanted) !== undefined) return;
  throw platformError(image, [platform], wanted);
}
