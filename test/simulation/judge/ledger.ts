import type { JsonObject } from '#api/meta/object.ts';
import type { ObjectMeta } from '#api/generated/objects.ts';
import { resourceOfKey } from '#control-plane/apiserver/objects/storage-key.ts';
import type { DurableRow } from '#test/simulation/world/memory-disc.ts';

/** An object as the disc has it. */
export interface Held {
  readonly key: string;
  readonly resource: string;
  readonly revision: number;
  readonly metadata: ObjectMeta;
  readonly object: JsonObject;
}

export interface Change {
  readonly resource: string;
  readonly key: string;
  readonly before: Held | undefined;
  readonly after: Held | undefined;
  readonly revision: number;
}

/** What nobody judges by what is in it. */
const unread = new Set(['events', 'leases']);

/** What is durable, object by object: the truth that everybody else is compared with. */
export class Ledger {
  readonly #objects = new Map<string, Held>();
  readonly #byResource = new Map<string, Map<string, Held>>();
  revision = 0;

  /** Takes over a row. @returns what it changed; undefined: nothing that is judged */
  apply({ row, value }: DurableRow): Change | undefined {
    const { key, revision } = row;
    const found = key.startsWith('/registry/') ? resourceOfKey(key) : 'none';
    this.revision = revision;
    if (typeof found === 'string' || unread.has(found.resource)) return undefined;
    const { resource } = found;
    const before = this.#objects.get(key);
    const all = this.#byResource.get(resource) ?? new Map<string, Held>();
    this.#byResource.set(resource, all);
    if (row.deleted) {
      this.#objects.delete(key);
      all.delete(key);
      return { resource, key, before, after: undefined, revision };
    }
    const object = JSON.parse(Buffer.from(value ?? []).toString()) as JsonObject;
    const metadata = (object['metadata'] ?? {}) as ObjectMeta;
    const after = { key, resource, revision, metadata, object };
    this.#objects.set(key, after);
    all.set(key, after);
    return { resource, key, before, after, revision };
  }

  all(resource: string): readonly Held[] {
    return [...(this.#byResource.get(resource)?.values() ?? [])];
  }

  get(key: string): Held | undefined {
    return this.#objects.get(key);
  }

  everything(): Iterable<Held> {
    return this.#objects.values();
  }
}
