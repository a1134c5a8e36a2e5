import { parseImageConfig } from '#api/oci/config.ts';
import { orderManifests, parseManifest, type Descriptor } from '#api/oci/manifest.ts';
import { isUnnamed, platformError, rankPlatform, type Platform } from '#api/oci/platform.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';

export interface ManifestDocument {
  readonly bytes: Buffer;
  readonly digest: string;
}

/** Where the documents of an image are read from. */
export interface DocumentSource {
  manifest(descriptor: Descriptor): Promise<ManifestDocument>;
  config(descriptor: Descriptor): Promise<Buffer>;
}

export interface ChosenImage {
  readonly manifest: ManifestDocument;
  readonly layers: readonly Descriptor[];
  readonly config: Buffer;
  /** An index says that it is for this machine, whatever its config says: configs of other builders' machines are common. */
  readonly isNamed: boolean;
}

/** Indexes in an index, one in the other; manifests that are looked at. */
const depthMax = 8;
const manifestsMax = 100;

/**
 * The image that a manifest or index, whatever indexes it is made of, has for a machine.
 * @throws E_INVALID none with what there is, E_UNSUPPORTED
 */
export async function chooseImage(
  top: ManifestDocument,
  source: DocumentSource,
  { label, machine }: { readonly label: string; readonly machine: Platform },
): Promise<ChosenImage> {
  const search = new Search(source, machine, label);
  const found = await search.in(top, { depth: 0, isNamed: false });
  if (found !== undefined) return found;
  if (search.failure !== undefined && search.offers.length === 0) throw search.failure;
  throw platformError(label, search.offers, machine);
}

class Search {
  readonly #source: DocumentSource;
  readonly #machine: Platform;
  readonly #label: string;
  #looked = 0;
  readonly offers: Platform[] = [];
  /** Of a manifest that nobody said is for this machine, as artifacts beside images are. */
  failure: PodwrightError | undefined;

  constructor(source: DocumentSource, machine: Platform, label: string) {
    this.#source = source;
    this.#machine = machine;
    this.#label = label;
  }

  async in(
    document: ManifestDocument,
    { depth, isNamed }: { readonly depth: number; readonly isNamed: boolean },
  ): Promise<ChosenImage | undefined> {
    const parsed = parseManifest(document.bytes);
    if (parsed.kind === 'manifest') {
      const { layers } = parsed;
      const sealed = layers.find(({ mediaType }) => mediaType.endsWith('+encrypted'));
      if (sealed !== undefined)
        throw new PodwrightError('E_UNSUPPORTED', `use image ${this.#label}: its layers are encrypted`);
      const config = await this.#source.config(parsed.config);
      return { manifest: document, layers, config, isNamed };
    }
    if (depth >= depthMax)
      throw new PodwrightError(
        'E_INVALID',
        `use image ${this.#label}: more than ${depthMax} indexes in each other`,
      );
    this.offers.push(
      ...parsed.manifests.flatMap(({ platform }) =>
        platform === undefined || platform.os === 'unknown' ? [] : [platform],
      ),
    );
    for (const descriptor of orderManifests(parsed.manifests, this.#machine)) {
      const found = await this.#look(descriptor, depth, isNamed || !isUnnamed(descriptor.platform));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #look(descriptor: Descriptor, depth: number, isNamed: boolean): Promise<ChosenImage | undefined> {
    this.#looked += 1;
    if (this.#looked > manifestsMax)
      throw new PodwrightError(
        'E_LIMIT',
        `use image ${this.#label}: none in its first ${manifestsMax} manifests`,
      );
    try {
      const found = await this.in(await this.#source.manifest(descriptor), { depth: depth + 1, isNamed });
      if (found === undefined || found.isNamed) return found;
      const { platform } = parseImageConfig(found.config);
      if (isUnnamed(platform) || rankPlatform(platform, this.#machine) !== undefined) return found;
      this.offers.push(platform);
      return undefined;
    } catch (error) {
      const isOther = isPodwrightError(error, 'E_INVALID') || isPodwrightError(error, 'E_NOT_FOUND');
      if (isNamed || !isOther || error.detail['reason'] === 'digest') throw error;
      this.failure ??= error;
      return undefined;
    }
  }
}
