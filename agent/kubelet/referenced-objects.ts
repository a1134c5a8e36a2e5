import type { Clock } from '#base/clock.ts';
import { configMaps, secrets, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { ConfigMap, Secret } from '#api/generated/objects.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';

/**
 * The ConfigMaps and Secrets that pods of this node refer to, each watched by name from its first use until a while after
 * its last: a change reaches the pods at once, and the second pod that asks for one waits for nothing.
 */
export interface ReferencedObjects extends Disposable {
  configMap(podUid: string, namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(podUid: string, namespace: string, name: string): Promise<Secret | undefined>;
  /** The pod no longer needs any. */
  release(podUid: string): void;
}

export interface ReferencedObjectsOptions {
  readonly informers: Informers;
  readonly clock: Clock;
  /** Told the uid of each pod one of whose objects changed. */
  readonly onChange: (podUid: string) => void;
}

/** How long an object is watched after its last pod: pods of one workload come one after another. */
const lingerMs = 60_000;

interface Watched {
  readonly pods: Set<string>;
  readonly listener: Disposable;
  linger: Disposable | undefined;
  stop(): void;
}

export function createReferencedObjects(options: ReferencedObjectsOptions): ReferencedObjects {
  const { informers, clock, onChange } = options;
  const watched = new Map<string, Watched>();

  const watch = <T extends KubeObject>(kind: KindRef<T>, namespace: string, name: string): Watched => {
    const selection = { namespace, fieldSelector: `metadata.name=${name}` };
    const pods = new Set<string>();
    const informer = informers.for(kind, selection);
    const listener = informer.onChange(({ old, current }) => {
      if (old?.metadata?.resourceVersion === current?.metadata?.resourceVersion) return;
      for (const uid of pods) onChange(uid);
    });
    return { pods, listener, linger: undefined, stop: () => void informers.stop(kind, selection) };
  };
  const get = async <T extends KubeObject>(
    kind: KindRef<T>,
    where: { readonly podUid: string; readonly namespace: string; readonly name: string },
  ): Promise<T | undefined> => {
    const { podUid, namespace, name } = where;
    if (name === '') return undefined;
    const key = `${kind.resource}/${namespace}/${name}`;
    const entry = watched.get(key) ?? watch(kind, namespace, name);
    watched.set(key, entry);
    entry.linger?.[Symbol.dispose]();
    entry.linger = undefined;
    const informer: WritableInformer<T> = informers.for(kind, {
      namespace,
      fieldSelector: `metadata.name=${name}`,
    });
    if (!informer.hasSynced) await informer.synced;
    entry.pods.add(podUid); // After the first list, which is no change.
    return informer.get(`${namespace}/${name}`);
  };
  return {
    configMap: (podUid, namespace, name) => get(configMaps, { podUid, namespace, name }),
    secret: (podUid, namespace, name) => get(secrets, { podUid, namespace, name }),
    release: (podUid) => {
      for (const [key, entry] of watched) {
        if (!entry.pods.delete(podUid) || entry.pods.size > 0) continue;
        entry.linger = clock.after(lingerMs, () => {
          watched.delete(key);
          entry.listener[Symbol.dispose]();
          entry.stop();
        });
      }
    },
    [Symbol.dispose]: () => {
      for (const entry of watched.values()) {
        entry.linger?.[Symbol.dispose]();
        entry.listener[Symbol.dispose]();
      }
      watched.clear();
    },
  };
}
