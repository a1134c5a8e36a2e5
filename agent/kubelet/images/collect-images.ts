import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import {
  agedImages,
  bytesToFree,
  insufficientMessage,
  observeImages,
  removableImages,
  type Disk,
  type ImageGcPolicy,
  type ImageUse,
} from './image-gc.ts';

export interface ImageCollectorOptions {
  readonly runtime: Pick<Runtime, 'images' | 'observeAll'>;
  readonly policy: ImageGcPolicy;
  /** Names of images that stay: they are in no registry. */
  readonly pinned: readonly string[];
  /** Of the file system that images are on. */
  readonly readDisk: () => Promise<Disk>;
  /** A condition of the node that is set where too little is left: then all unused images go. */
  readonly isPressed: (disk: Disk) => boolean;
  /** An event about the node. */
  readonly warn: (reason: string, message: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The kubelet's ImageGCPeriod, and the period in which it looks for pressure. */
const collectMs = 300_000;
const pressureMs = 10_000;

/** Frees disk of images that no container is made of. */
export class ImageCollector {
  readonly #options: ImageCollectorOptions;
  readonly #startedMs: number;
  #known: ReadonlyMap<string, ImageUse> = new Map();
  #isFirst = true;
  #hasFailed = false;
  /** One method at a time. */
  #turn: Promise<void> = Promise.resolve();
  readonly removed = { space: 0, age: 0 };

  constructor(options: ImageCollectorOptions) {
    this.#options = options;
    this.#startedMs = options.clock.now();
  }

  /** By age, then by the thresholds. Failing twice in a row is told as an event. */
  collect(): Promise<void> {
    return this.#inTurn(() => this.#collectAndTell());
  }

  /** Under pressure: all that are not used and old enough, before anything else has to go. */
  relieve(): Promise<void> {
    return this.#inTurn(() => this.#relieve());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined); // Told to whoever asked for it.
    return result;
  }

  async #collectAndTell(): Promise<void> {
    try {
      await this.#collect();
      this.#hasFailed = false;
    } catch (error) {
      const { logger, warn } = this.#options;
      logger.warn({ error: describeError(error) }, 'images are not collected');
      if (this.#hasFailed) warn('ImageGCFailed', describeError(error));
      this.#hasFailed = true;
    }
  }

  async #relieve(): Promise<void> {
    const { readDisk, isPressed, logger } = this.#options;
    const before = await readDisk();
    if (!isPressed(before)) return;
    const now = this.#observe();
    const images = removableImages(this.#known.values(), this.#options.policy, now);
    if (images.length === 0) return;
    const freed = await this.#remove(images, { until: () => false, reason: 'space' });
    logger.warn({ images: images.length, bytes: freed }, 'the disk is short: unused images were removed');
  }

  async #collect(): Promise<void> {
    const { policy, readDisk, logger, warn } = this.#options;
    const now = this.#observe();
    const aged = agedImages(this.#known.values(), policy, { now, startedMs: this.#startedMs });
    await this.#remove(aged, { until: () => false, reason: 'age' });
    const disk = await readDisk();
    if (disk.bytes === 0) {
      warn('InvalidDiskCapacity', 'invalid capacity 0 on image filesystem');
      throw new Error('invalid capacity 0 on image filesystem');
    }
    const wanted = bytesToFree(disk, policy);
    if (wanted === 0) return;
    const images = removableImages(this.#known.values(), policy, now);
    const freed = await this.#remove(images, { until: (bytes) => bytes >= wanted, reason: 'space' });
    logger.info({ bytes: freed, wantedBytes: wanted }, 'the disk is used above the high threshold of images');
    if (freed >= wanted) return;
    const message = insufficientMessage(disk, freed);
    warn('FreeDiskSpaceFailed', message);
    throw new Error(message);
  }

  #observe(): number {
    const { runtime, pinned, clock } = this.#options;
    const { images } = runtime;
    const now = clock.now();
    const containers = runtime.observeAll().flatMap((pod) => pod.containers);
    const references = containers.flatMap(({ imageId, mountedImages = [] }) => [
      imageId,
      ...mountedImages.map((mounted) => mounted.imageId),
    ]);
    const used = new Set(references.flatMap((reference) => images.resolve(reference)?.id ?? []));
    const ids = images
      .list()
      .filter(({ names }) => !names.some((name) => pinned.includes(name)))
      .map(({ id }) => id);
    this.#known = observeImages(this.#known, { ids, used, isFirst: this.#isFirst }, now);
    this.#isFirst = false;
    return now;
  }

  /**
   * One after another, until enough is free. What an image frees is measured, as layers are shared and are larger than what was
   * downloaded. Gives how many bytes.
   */
  async #remove(
    images: readonly ImageUse[],
    { until, reason }: { readonly until: (bytes: number) => boolean; readonly reason: 'space' | 'age' },
  ): Promise<number> {
    const { runtime, readDisk } = this.#options;
    let freed = 0;
    const failures: string[] = [];
    for (const { id } of images) {
      if (until(freed)) break;
      try {
        const { availableBytes } = await readDisk();
        await runtime.images.remove(id);
        freed += Math.max(0, (await readDisk()).availableBytes - availableBytes);
        this.removed[reason] += 1;
        this.#known = new Map([...this.#known].filter(([known]) => known !== id));
      } catch (error) {
        failures.push(`${id}: ${describeError(error)}`);
      }
    }
    if (failures.length > 0) throw new Error(`remove images: ${failures.join('; ')} (freed ${freed} bytes)`);
    return freed;
  }
}

/** Collects for as long as it is not disposed. */
export function watchImages(
  collector: ImageCollector,
  { clock, logger }: Pick<ImageCollectorOptions, 'clock' | 'logger'>,
): Disposable {
  const abort = new AbortController();
  const run = async (): Promise<void> => {
    for (let due = clock.now() + collectMs; ;) {
      await clock.sleep(pressureMs, abort.signal);
      await collector
        .relieve()
        .catch((error: unknown) => logger.warn({ error: describeError(error) }, 'no images are removed'));
      if (clock.now() < due) continue;
      due = clock.now() + collectMs;
      await collector.collect();
    }
  };
  run().catch(() => undefined); // Ends by abort only.
  return { [Symbol.dispose]: () => abort.abort(new DOMException('kubelet stopped', 'AbortError')) };
}
