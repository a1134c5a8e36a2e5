import type { Readable } from 'node:stream';
import { formatReference, isImageId, parseReference, repositoryOf } from '#api/oci/reference.ts';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ImageRecord, ImageStore } from '#agent/runtime/runtime.ts';
import { countPull } from './pull-progress.ts';

/** Images by name only; `serve` puts one in the pretended registry, `add` in the store itself. */
export class FakeImageStore implements ImageStore {
  readonly pulls: string[] = [];
  readonly #clock: Clock;
  readonly #records = new Map<string, ImageRecord>();
  readonly #byName = new Map<string, ImageRecord>();
  readonly #hasEveryImage: boolean;
  readonly #registry = new Map<string, ImageRecord | Error>();

  constructor(clock: Clock, { hasEveryImage = false }: { readonly hasEveryImage?: boolean } = {}) {
    this.#clock = clock;
    this.#hasEveryImage = hasEveryImage;
  }

  /** An image that is present. */
  add(reference: string, options: { readonly user?: string } = {}): ImageRecord {
    const record = fakeRecord(reference, this.#clock.now(), options.user ?? '');
    this.#keep(record);
    return record;
  }

  /** An image (or the error) that a pull of `reference` gets. */
  serve(reference: string, result: { readonly user?: string } | Error = {}): void {
    this.#registry.set(
      formatReference(parseReference(reference)),
      result instanceof Error ? result : fakeRecord(reference, this.#clock.now(), result.user ?? ''),
    );
  }

  list(): readonly ImageRecord[] {
    return [...this.#records.values()];
  }

  resolve(reference: string): ImageRecord | undefined {
    if (isImageId(reference))
      return this.#records.get(reference.startsWith('sha256:') ? reference : `sha256:${reference}`);
    const name = formatReference(parseReference(reference));
    return this.#byName.get(name);
  }

  async pull(
    reference: string,
    { onProgress }: Parameters<ImageStore['pull']>[1],
    signal: AbortSignal,
  ): Promise<ImageRecord> {
    signal.throwIfAborted();
    const name = formatReference(parseReference(reference));
    if (!this.#hasEveryImage) this.pulls.push(name);
    const found = this.#registry.get(name) ?? this.#made(name);
    if (found === undefined) throw new PodwrightError('E_NOT_FOUND', `pull ${name}: not found`);
    if (found instanceof Error) throw found;
    countPull([found], onProgress).done(0);
    this.#keep(found);
    return found;
  }

  async importArchive(
    source: Readable | { readonly directory: string },
    options: { readonly name?: string | undefined },
  ): Promise<readonly ImageRecord[]> {
    if (!('directory' in source)) source.resume();
    return [this.add(options.name ?? 'imported')];
  }

  async remove(reference: string): Promise<void> {
    const record = this.resolve(reference);
    if (record === undefined) return;
    this.#records.delete(record.id);
    for (const name of [...record.names, ...record.digests]) this.#byName.delete(name);
  }

  #keep(record: ImageRecord): void {
    this.#records.set(record.id, record);
    for (const name of [...record.names, ...record.digests]) this.#byName.set(name, record);
  }

  #made(name: string): ImageRecord | undefined {
    return this.#hasEveryImage ? fakeRecord(name, this.#clock.now(), '') : undefined;
  }
}

function fakeRecord(reference: string, createdAtMs: number, user: string): ImageRecord {
  const parsed = parseReference(reference);
  const name = formatReference(parsed);
  const hex = Buffer.from(name).toString('hex').padEnd(64, '0').slice(-64);
  return {
    id: `sha256:${hex}`,
    names: parsed.digest === undefined ? [name] : [],
    digests: [parsed.digest === undefined ? `${repositoryOf(parsed)}@sha256:${hex}` : name],
    sizeBytes: 1_000_000,
    createdAtMs,
    user,
  };
}
