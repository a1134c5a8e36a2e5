import type { KindRef } from '#api/schema/kind-ref.ts';
import type { JsonObject, KubeObject } from '#api/meta/object.ts';
import { isCountedOnly, type KindName } from '#api/quota/usage.ts';
import type { Change, WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import { identityOf } from '#control-plane/controllers/garbage/object-graph.ts';
import { byNamespace } from '#control-plane/controllers/pods/owner-keys.ts';
import { isBuiltIn, type CountedKind } from './kind-finder.ts';

/** An object that quotas count. */
export type Counted = KubeObject & JsonObject;

/** Caches of what some quota counts; most clusters have no quota. */
export interface CountedCaches extends Disposable {
  /** The cache of a kind, by namespace; it begins to fill when first asked for. */
  of(kind: CountedKind): WritableInformer<Counted>;
  /** Ends those of kinds that may go away, but for these. */
  keep(names: readonly KindName[]): Promise<void>;
}

interface Cache {
  readonly kind: CountedKind;
  readonly informer: WritableInformer<Counted>;
  readonly handler: Disposable;
}

export function createCountedCaches(
  informers: Informers,
  onChange: (kind: CountedKind, change: Change<Counted>) => void,
): CountedCaches {
  const caches = new Map<string, Cache>();
  const end = async ({ kind, handler }: Cache): Promise<void> => {
    caches.delete(idOf(kind));
    handler[Symbol.dispose]();
    await informers.stop(kind);
  };
  return {
    of: (kind) => {
      const known = caches.get(idOf(kind));
      if (known?.kind.version === kind.version) return known.informer;
      if (known !== undefined) void end(known); // Another version is preferred now.
      const ref: KindRef<Counted> = kind;
      // Whole objects of kinds that may go away, although they are but counted: a cache of metadata is the garbage collector's to end.
      const informer = informers.for(
        ref,
        isBuiltIn(kind) && isCountedOnly(kind) ? { metadataOnly: true, transform: identityOf } : {},
      );
      informer.ensureIndex('namespace', byNamespace);
      const handler = informer.onChange((change) => onChange(kind, change));
      caches.set(idOf(kind), { kind, informer, handler });
      return informer;
    },
    keep: async (names) => {
      const kept = new Set(names.map(idOf));
      for (const [id, cache] of caches) {
        if (!isBuiltIn(cache.kind) && !kept.has(id)) await end(cache);
      }
    },
    [Symbol.dispose]: () => {
      for (const { handler } of caches.values()) handler[Symbol.dispose]();
    },
  };
}

function idOf({ group, resource }: KindName): string {
  return `${group}/${resource}`;
}
