import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { StoredValue, StoreEvent, StoreWatch } from '#control-plane/store/store.ts';
import type { Registry } from './registry.ts';

/** What is stored now. */
export interface Mirrored {
  /** Where the store has it. */
  readonly key: string;
  /** As it is stored. */
  readonly bytes: Uint8Array;
  /** Parsed when it is asked for. Shared: not to be changed. */
  readonly object: JsonObject;
  /** What can be selected by, in the order of `ownFieldsOf`; known of most without parsing. */
  readonly fields: readonly string[];
}

/** Who keeps a picture of objects of the store. Called in the store's own turn, in its order: it must not block and not throw. */
export interface MirrorSink {
  put(stored: Mirrored): void;
  remove(key: string): void;
}

export interface MirrorParts {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly logger: Logger;
}

const retryMs = 1_000;

/**
 * Tells of every object of a kind, first what is there, then each change before the write that made it is answered (embedded engine), or as
 * soon as the store tells of it (etcd). Where the store has forgotten what came after the last change, what is there is compared again.
 * Resolves when all was told once.
 */
export async function mirrorKind(parts: MirrorParts, kind: Kind, sink: MirrorSink): Promise<Disposable> {
  const mirror = new Mirror(parts, kind, sink);
  await mirror.begin();
  return mirror;
}

/** As `mirrorKind`, of several kinds one after the other. */
export async function mirrorAll(
  parts: MirrorParts,
  kinds: readonly (readonly [Kind, MirrorSink])[],
): Promise<Disposable> {
  using mirrors = new DisposableStack();
  for (const [kind, sink] of kinds) mirrors.use(await mirrorKind(parts, kind, sink));
  return mirrors.move();
}

class Mirror implements Disposable {
  readonly #parts: MirrorParts;
  readonly #kind: Kind;
  readonly #sink: MirrorSink;
  readonly #prefix: string;
  readonly #known = new Set<string>();
  #watch: StoreWatch | undefined;
  #retry: Disposable | undefined;
  #isOver = false;

  constructor(parts: MirrorParts, kind: Kind, sink: MirrorSink) {
    this.#parts = parts;
    this.#kind = kind;
    this.#sink = sink;
    this.#prefix = parts.registry.prefixOf(kind, '');
  }

  /** As `load`; what cannot be read now (sealed, and its key is not there) is waited for, and the server begins without. */
  async begin(): Promise<void> {
    try {
      await this.load();
    } catch (error) {
      if (!isPodwrightError(error, 'E_API')) throw error;
      this.#retryLater(error);
    }
  }

  /** Brings the picture up to what is there, and follows from there on. */
  async load(): Promise<void> {
    const { registry } = this.#parts;
    const { values, revision } = await registry.range(this.#kind, this.#prefix);
    if (this.#isOver) return;
    const gone = new Set(this.#known);
    for (const value of values) {
      gone.delete(value.key);
      this.#put(value);
    }
    for (const key of gone) this.#remove(key);
    this.#watch = registry.store.watch(this.#prefix, revision, (events) => this.#follow(events), {
      onEnd: () => this.#again(),
    });
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#watch?.[Symbol.dispose]();
    this.#retry?.[Symbol.dispose]();
  }

  #follow(events: readonly StoreEvent[]): void {
    for (const { type, key, current } of events) {
      if (type === 'delete') this.#remove(key);
      else this.#put(current);
    }
  }

  #put(value: StoredValue): void {
    const { registry } = this.#parts;
    const kind = this.#kind;
    this.#known.add(value.key);
    this.#sink.put({
      key: value.key,
      get bytes() {
        return value.value;
      },
      get object() {
        return registry.objectOf(kind, value);
      },
      get fields() {
        return registry.fieldsOf(kind, value);
      },
    });
  }

  #remove(key: string): void {
    if (this.#known.delete(key)) this.#sink.remove(key);
  }

  #again(): void {
    if (this.#isOver) return;
    this.load().catch((error: unknown) => {
      if (this.#isOver || isPodwrightError(error, 'E_CLOSED')) return;
      this.#retryLater(error);
    });
  }

  #retryLater(error: unknown): void {
    const { clock, logger } = this.#parts;
    logger.warn(
      { kind: this.#kind.kind, error: describeError(error) },
      'objects are looked at again in a second',
    );
    this.#retry = clock.after(retryMs, () => this.#again());
  }
}
