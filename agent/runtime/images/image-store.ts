import { lstat, mkdir, mkdtemp, readdir, rename, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { parseImageConfig, requirePlatform, type ImageConfig } from '#api/oci/config.ts';
import type { Platform } from '#api/oci/platform.ts';
import { digestOfHex, hexOf } from '#api/oci/digest.ts';
import { formatReference, isImageId, parseReference } from '#api/oci/reference.ts';
import { systemClock, type Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { ImageAccounts } from '#agent/runtime/image-user.ts';
import { readAccounts } from '#agent/runtime/read-accounts.ts';
import type { ImageRecord, ImageStore, OwnImage } from '#agent/runtime/runtime.ts';
import { removeTree } from '#native/fs/remove-tree.ts';
import { getXattr } from '#native/sys/file.ts';
import { exportImages, type ExportedImage } from './export/export-images.ts';
import { directoryFiles, readArchive, stageArchive } from './archive.ts';
import { BlobStore, digestOf } from './blob-store.ts';
import { findImage } from './find-image.ts';
import { imageError } from './image-error.ts';
import { readImageNote, writeImageNote } from './image-note.ts';
import {
  mergeImages,
  planGarbage,
  readImageRecords,
  repairImageRecords,
  writeImageRecords,
  type StoredImage,
} from './image-records.ts';
import type { IncomingImage, IncomingLayer } from './incoming-image.ts';
import { layerIdOn, layOn } from './unpack/layer-stack.ts';
import { LayerTurns } from './unpack/layer-turns.ts';
import { impliedRootXattr } from './unpack/layer-writer.ts';
import { machinePlatform } from './machine-platform.ts';
import { countPull, type PullProgress } from './pull-progress.ts';
import type { Credentials, RegistryClient } from './registry/registry.ts';
import { defaultUnpackLimits, unpackLayer, type UnpackLimits } from './unpack/unpack-layer.ts';
import { unpackOnThread, type Unpack } from './unpack/unpack-thread.ts';

export interface ImageStoreOptions {
  /** The node's data directory: `images/` and `layers/` in it are the store's. */
  readonly directory: string;
  /** Undefined: pulling is refused. */
  readonly registry?: RegistryClient | undefined;
  readonly platform?: Platform;
  readonly unpack?: Unpack;
  readonly limits?: UnpackLimits;
  readonly clock?: Clock;
  /** Told what was damaged, and what was done about it. */
  readonly tell?: (text: string) => void;
}

/** The names that a layer's directory may have (layer-stack.ts): of its own, and on the layers of the image below it. */
interface LayerIds {
  readonly diffId: string;
  readonly onBelow: string;
}

interface LayerPlace extends LayerIds {
  /** Directories of the layers below it, top first. */
  readonly below: readonly string[];
  readonly unpack: Unpack;
  /** How many bytes of its blob there are. */
  readonly came: (bytes: number) => void;
}

/** A pull, whatever progress it makes: nobody needs an image that takes longer, and its place is wanted. */
const pullMsMax = 12 * 3_600_000;

/** What running a container needs of an image. */
export interface ImageContent {
  readonly id: string;
  readonly config: ImageConfig;
  /** What keeps its layers, bottom first. */
  readonly layerIds: readonly string[];
  /** Directories of the layers, top first, as overlayfs lists lower directories. */
  readonly lower: readonly string[];
  readonly accounts: ImageAccounts;
  /** Of the image's root directory, which an overlay takes from its upper directory instead. */
  readonly root: { readonly mode: number; readonly uid: number; readonly gid: number };
}

/**
 * The images of a node:
 *
 *     DIR/images/images.json          names, digests, layers of each image
 *     DIR/images/blobs/sha256/HEX     configs and manifests
 *     DIR/images/tmp/                 archives and downloads in progress; emptied at start
 *     DIR/layers/HEX/                 one layer, unpacked, by the digest of its tar (diffID), or of those below it as well (layer-stack.ts)
 *
 * A layer directory that is there is whole. Nothing refers to it until images.json does, so a crash at any point leaves
 * garbage at most, which the next start collects.
 *
 * An image of ours that is made when it is first used is in the list, and in none of these.
 */
export class LocalImageStore implements ImageStore {
  readonly #options: ImageStoreOptions;
  readonly #platform: Platform;
  readonly #blobs: BlobStore;
  #images: readonly StoredImage[] = [];
  /** Installs in progress: garbage is only collected when there is none, as their layers are not recorded yet. */
  #installs = 0;
  readonly #clock: Clock;
  readonly #turns: LayerTurns;
  #saving: Promise<void> = Promise.resolve();
  #collecting: Promise<void> = Promise.resolve();
  /** By image id, of images that are there: as few as those. */
  readonly #contents = new Map<string, ImageContent>();
  #pinned: () => Iterable<string> = () => [];
  /** By image id, of images of the list that are not made yet: how they get made. */
  readonly #promised = new Map<string, () => Promise<void>>();

  constructor(options: ImageStoreOptions) {
    this.#options = options;
    this.#platform = options.platform ?? machinePlatform();
    this.#clock = options.clock ?? systemClock;
    this.#turns = new LayerTurns(this.#clock);
    this.#blobs = new BlobStore(`${options.directory}/images/blobs`);
  }

  /** Tells which layers (ids) containers use; asked before anything is collected. */
  pinLayers(pinned: () => Iterable<string>): void {
    this.#pinned = pinned;
  }

  /** Makes the store, or clears away what an earlier owner left unfinished in it, and reads it. */
  async open(): Promise<void> {
    const { directory } = this.#options;
    await removeTree(this.#temporary);
    await mkdir(this.#temporary, { recursive: true, mode: 0o700 });
    await mkdir(`${directory}/layers`, { recursive: true, mode: 0o700 });
    await this.#blobs.open();
    const damage = await this.load();
    if (damage === undefined) return;
    this.#options.tell?.(damage);
    await repairImageRecords(this.#recordsPath, this.#images);
  }

  /**
   * Reads what is there and changes nothing: for whoever only looks at the store of a node that may be running. Gives what is
   * damaged.
   */
  async load(): Promise<string | undefined> {
    const { images: records, damage } = await readImageRecords(this.#recordsPath);
    const present = new Set(await this.#presentLayers());
    this.#images = records.filter((image) => image.layerIds.every((layerId) => present.has(layerId)));
    return damage;
  }

  list(): readonly ImageRecord[] {
    return this.#images;
  }

  resolve(reference: string): StoredImage | undefined {
    return findImage(this.#images, reference);
  }

  async importWhenUsed(own: OwnImage, signal: AbortSignal): Promise<void> {
    const noted = await readImageNote(own.noteFile, own.key);
    if (noted === undefined) {
      await this.#importOwn(own, signal);
      return;
    }
    if (this.resolve(noted.id) !== undefined) {
      await this.#save((known) => mergeImages(known, [noted]));
      return;
    }
    let making: Promise<void> | undefined;
    this.#promised.set(noted.id, () => {
      making ??= this.#keepPromise(noted.id, own).finally(() => (making = undefined));
      return making;
    });
    this.#images = mergeImages(this.#images, [noted]);
  }

  /** What is referred to, made if it was not yet. */
  async #made(reference: string): Promise<StoredImage | undefined> {
    await this.#promised.get(this.resolve(reference)?.id ?? '')?.();
    return this.resolve(reference);
  }

  /** For all who wait for it: none of them ends it. */
  async #keepPromise(id: string, own: OwnImage): Promise<void> {
    await this.#importOwn(own, new AbortController().signal);
    // The note was wrong: what is there now has another id, and the name.
    if (this.#promised.delete(id)) await this.#save((known) => known.filter((image) => image.id !== id));
  }

  async #importOwn({ key, noteFile, make }: OwnImage, signal: AbortSignal): Promise<void> {
    const [made] = await this.importArchive(await make(), { isOurs: true }, signal);
    const image = made === undefined ? undefined : this.resolve(made.id);
    if (image === undefined) return;
    await writeImageNote(noteFile, key, image).catch((error: unknown) => {
      this.#options.tell?.(`${describeError(error)}: each node makes ${image.names.join(', ')} at its start`);
    });
  }

  /** Read once for each image: it is what its id is the hash of. @throws E_NOT_FOUND */
  async content(id: string): Promise<ImageContent> {
    const image = await this.#made(id);
    if (image === undefined) throw new PodwrightError('E_NOT_FOUND', `use image ${id}: not present`);
    const known = this.#contents.get(image.id);
    if (known !== undefined) return known;
    const config = parseImageConfig(await this.#blobs.read(image.id));
    const lower = image.layerIds.map((layerId) => this.#layerPath(layerId)).reduce(layOn, noLayers);
    const saying = lower.find((layer) => getXattr(layer, impliedRootXattr) === undefined);
    const { mode, uid, gid } = saying === undefined ? emptyRoot : await lstat(saying);
    const root = { mode: mode & 0o7777, uid, gid };
    const { layerIds } = image;
    const accounts = await readAccounts(lower);
    const content = { id: image.id, config, layerIds, lower, accounts, root };
    this.#contents.set(image.id, content);
    return content;
  }

  async pull(
    reference: string,
    options: {
      readonly credentials?: Credentials | undefined;
      readonly onProgress?: ((progress: PullProgress) => void) | undefined;
    },
    signal: AbortSignal,
  ): Promise<ImageRecord> {
    const parsed = parseReference(reference);
    const { registry } = this.#options;
    if (registry === undefined) {
      throw new PodwrightError('E_UNSUPPORTED', `pull ${formatReference(parsed)}: this node pulls no images`);
    }
    await using directory = await this.#temporaryDirectory();

    const request = {
      ...{ reference: parsed, platform: this.#platform, directory: directory.path },
      knownConfig: (digest: string) => this.#blobs.read(digest).catch(() => undefined),
    };
    const late = new AbortController();
    using _timer = this.#clock.after(pullMsMax, () => late.abort(new DOMException('late', 'TimeoutError')));

    const each = AbortSignal.any([signal, late.signal]);
    const notInTime = (error: unknown): never => {
      if (!late.signal.aborted || signal.aborted) throw error;
      throw new PodwrightError(
        'E_TIMEOUT',
        `pull ${reference}: not done after ${pullMsMax / 3_600_000} hours`,
      );
    };
    const incoming = await registry
      .resolve({ ...request, credentials: options.credentials }, each)
      .catch(notInTime);
    const [record] = await this.#install([incoming], each, options.onProgress).catch(notInTime);
    if (record === undefined)
      throw new PodwrightError('E_INTERNAL', `pull ${reference}: nothing was recorded`);
    return record;
  }

  async importArchive(
    source: Readable | { readonly directory: string },
    options: { readonly name?: string | undefined; readonly isOurs?: boolean | undefined },
    signal: AbortSignal,
  ): Promise<readonly ImageRecord[]> {
    await using directory = await this.#temporaryDirectory();

    const files =
      'directory' in source
        ? directoryFiles(source.directory)
        : await stageArchive(source, directory.path, signal);
    const { name, isOurs } = options;
    const images = await readArchive(files, { platform: this.#platform, name });
    if (name !== undefined && images.length > 1) {
      throw new PodwrightError('E_USAGE', `import as ${name}: the archive holds ${images.length} images`);
    }
    // Awaited here: the staged files are gone after this block.
    return await this.#install(isOurs === true ? images.map(unpackedHere) : images, signal);
  }

  /** Nothing is collected until it has been read, or is returned from. */
  async *exportArchive(references: readonly string[], signal: AbortSignal): AsyncGenerator<Buffer> {
    this.#installs += 1;
    try {
      await this.#collecting;
      const images: ExportedImage[] = [];
      for (const reference of references) images.push(await this.#exported(reference));
      yield* exportImages(images, signal);
    } finally {
      this.#installs -= 1;
      await this.collect();
    }
  }

  /** @throws E_NOT_FOUND */
  async #exported(reference: string): Promise<ExportedImage> {
    const image = await this.#made(reference);
    if (image === undefined)
      throw new PodwrightError(
        'E_NOT_FOUND',
        `export image ${reference}: no such image; podwright image ls lists them`,
      );
    const isName = !isImageId(reference) && image.names.includes(formatReference(parseReference(reference)));
    const names = isName ? [formatReference(parseReference(reference))] : image.names;
    const config = await this.#blobs.read(image.id);
    return { names, config, layers: image.layerIds.map((layerId) => this.#layerPath(layerId)) };
  }

  /** A name is taken off its image; an image without names, or asked for by id, goes with what only it used. */
  async remove(reference: string): Promise<void> {
    const image = this.resolve(reference);
    if (image === undefined) return;
    const name = isImageId(reference) ? undefined : formatReference(parseReference(reference));
    const names = name === undefined ? [] : image.names.filter((each) => each !== name);
    const rest = this.#images.filter((each) => each !== image);
    await this.#save(() => (names.length === 0 ? rest : [...rest, { ...image, names }]));
    await this.collect();
  }

  /** Removes layers and blobs that no image and no container reaches. Does nothing while something is being installed. */
  async collect(): Promise<void> {
    this.#collecting = this.#collecting.then(() => this.#collect());
    await this.#collecting;
  }

  async #collect(): Promise<void> {
    const present = { presentLayers: await this.#presentLayers(), presentBlobs: await this.#blobs.list() };
    if (this.#installs > 0) return;
    const pinnedLayers = new Set(this.#pinned());
    const garbage = planGarbage({ images: this.#images, pinnedLayers, ...present });
    for (const digest of garbage.blobs) await this.#blobs.remove(digest);
    for (const layerId of garbage.layers) {
      await using gone = await this.#temporaryDirectory();

      // Out of sight in one step: a layer directory that is there is always whole.
      await rename(this.#layerPath(layerId), `${gone.path}/layer`);
    }
  }

  get #temporary(): string {
    return `${this.#options.directory}/images/tmp`;
  }

  get #recordsPath(): string {
    return `${this.#options.directory}/images/images.json`;
  }

  #layerPath(layerId: string): string {
    return `${this.#options.directory}/layers/${hexOf(layerId)}`;
  }

  async #presentLayers(): Promise<readonly string[]> {
    const names = await readdir(`${this.#options.directory}/layers`);
    return names.map(digestOfHex);
  }

  async #temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
    const path = await mkdtemp(`${this.#temporary}/in-`);
    return { path, [Symbol.asyncDispose]: async () => void (await removeTree(path)) };
  }

  /** All of the images or none. */
  async #install(
    incoming: readonly IncomingImage[],
    signal: AbortSignal,
    onProgress?: (progress: PullProgress) => void,
  ): Promise<readonly ImageRecord[]> {
    this.#installs += 1;
    await this.#collecting; // What it is removing must not be taken for present.
    let isDone = false;
    try {
      const images: StoredImage[] = [];
      for (const image of incoming) images.push(await this.#unpackImage(image, signal, onProgress));
      signal.throwIfAborted();
      await this.#save((known) => mergeImages(known, images), images);
      isDone = true;
      return images.map((image) => this.resolve(image.id) ?? image);
    } finally {
      this.#installs -= 1;
      if (!isDone) await this.collect();
    }
  }

  async #unpackImage(
    image: IncomingImage,
    signal: AbortSignal,
    onProgress: ((progress: PullProgress) => void) | undefined,
  ): Promise<StoredImage> {
    const config = parseImageConfig(image.config);
    if (!image.isNamed) requirePlatform(config, this.#platform, image.label);
    if (config.diffIds.length !== image.layers.length) {
      const counts = `${image.layers.length} layers, its config ${config.diffIds.length}`;
      throw new PodwrightError('E_INVALID', `read image ${image.label}: its manifest has ${counts}`);
    }
    const layerIds: string[] = [];
    const count = countPull(image.layers, onProgress);
    let below = noLayers;
    for (const [at, layer] of image.layers.entries()) {
      const ids = { diffId: config.diffIds[at] ?? '', onBelow: layerIdOn(config.diffIds.slice(0, at + 1)) };
      const unpack = image.unpack ?? this.#options.unpack ?? unpackOnThread;
      const place = { ...ids, below, unpack, came: (bytes: number) => count.came(at, bytes) };
      const work = {
        diffId: ids.diffId,
        source: image.source,
        isPresent: async () => (await this.#presentLayer(ids)) !== undefined,
        bring: (each: AbortSignal) => this.#unpackLayer(place, layer, each),
      };
      await this.#turns.ensure(work, signal);
      count.done(at);
      const layerId = (await this.#presentLayer(ids)) ?? ids.diffId;
      layerIds.push(layerId);
      below = layOn(below, this.#layerPath(layerId));
    }
    const id = await this.#blobs.put(image.config, digestOf(image.config));
    if (image.manifest !== undefined) await this.#blobs.put(image.manifest.bytes, image.manifest.digest);
    const createdAtMs = Date.parse(config.createdAt ?? '');
    return {
      id,
      names: image.names,
      digests: image.digests,
      sizeBytes: image.layers.reduce((sum, layer) => sum + layer.sizeBytes, image.config.length),
      createdAtMs: Number.isNaN(createdAtMs) ? 0 : createdAtMs,
      user: config.user,
      layerIds,
      manifests: image.manifest === undefined ? [] : [image.manifest.digest],
    };
  }

  /** Which of a layer's two ids is that of a directory. */
  async #presentLayer({ diffId, onBelow }: LayerIds): Promise<string | undefined> {
    for (const id of [diffId, onBelow]) {
      if ((await stat(this.#layerPath(id)).catch(() => undefined)) !== undefined) return id;
    }
    return undefined;
  }

  async #unpackLayer(
    { below, unpack, came, ...ids }: LayerPlace,
    layer: IncomingLayer,
    signal: AbortSignal,
  ): Promise<void> {
    const { diffId, onBelow } = ids;
    const limits = this.#options.limits ?? defaultUnpackLimits;
    try {
      await using directory = await this.#temporaryDirectory();
      await using blob = await layer.fetch(signal, came);

      const target = `${directory.path}/layer`;
      await mkdir(target, { mode: 0o755 });
      const request = { blob: blob.path, target, below, digest: layer.digest, diffId, limits };
      const { hasAskedBelow } = await unpack(request, signal);
      if ((await this.#presentLayer(ids)) === undefined)
        await rename(target, this.#layerPath(hasAskedBelow ? onBelow : diffId));
    } catch (error) {
      signal.throwIfAborted();
      throw imageError(`unpack layer ${diffId}`, error, this.#temporary);
    }
  }

  /** One writer of images.json: each change is computed on what the one before left. `came`: what is there from now on. */
  async #save(
    change: (known: readonly StoredImage[]) => readonly StoredImage[],
    came: readonly StoredImage[] = [],
  ): Promise<void> {
    const turn = this.#saving.then(async () => {
      const images = change(this.#images);
      const promised = new Set(this.#promised.keys()).difference(new Set(came.map(({ id }) => id)));
      const made = images.filter(({ id }) => !promised.has(id));
      await writeImageRecords(this.#recordsPath, made);
      this.#images = images;
      for (const id of this.#contents.keys()) if (this.resolve(id) === undefined) this.#contents.delete(id);
      for (const id of this.#promised.keys())
        if (!promised.has(id) || this.resolve(id) === undefined) this.#promised.delete(id);
    });
    this.#saving = turn.catch(() => undefined);
    await turn;
  }
}

const noLayers: readonly string[] = [];
const unpackedHere = (image: IncomingImage): IncomingImage => ({ ...image, unpack: unpackLayer });
const emptyRoot = { mode: 0o755, uid: 0, gid: 0 } as const;

/** Opens (or makes) the image store in a data directory. Collecting is left to who knows what containers use. */
export async function openImageStore(options: ImageStoreOptions): Promise<LocalImageStore> {
  const store = new LocalImageStore(options);
  await store.open();
  return store;
}
