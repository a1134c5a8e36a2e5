import type { Clock } from '#base/clock.ts';
import {
  clusterTrustBundles,
  configMaps,
  runtimeClasses,
  secrets,
  type KindRef,
} from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { ClusterTrustBundle, ConfigMap, RuntimeClass, Secret } from '#api/generated/objects.ts';
import { isForbidden, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { discoverKindsOf } from '#client/discover-kinds.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import type { Selection } from '#client/reflector.ts';

/**
 * The ConfigMaps, Secrets and RuntimeClasses that pods of this node refer to, each watched by name from its first use until a while after
 * its last, and ClusterTrustBundles, which are watched together: a change reaches the pods at once, and the second pod that asks for one waits for nothing.
 */
export interface ReferencedObjects extends Disposable {
  configMap(podUid: string, namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(podUid: string, namespace: string, name: string): Promise<Secret | undefined>;
  /** All of them; undefined: the server has no such kind. */
  trustBundles(podUid: string): Promise<readonly ClusterTrustBundle[] | undefined>;
  runtimeClass(podUid: string, name: string): Promise<RuntimeClass | undefined>;
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

  const watch = <T extends KubeObject>(kind: KindRef<T>, selection: Selection): Watched => {
    const pods = new Set<string>();
    const informer = informers.for(kind, selection);
    const listener = informer.onChange(({ old, current }) => {
      if (old?.metadata?.resourceVersion === current?.metadata?.resourceVersion) return;
      for (const uid of pods) onChange(uid);
    });
    return { pods, listener, linger: undefined, stop: () => void informers.stop(kind, selection) };
  };
  const follow = async <T extends KubeObject>(
    kind: KindRef<T>,
    podUid: string,
    selection: Selection,
  ): Promise<WritableInformer<T>> => {
    const key = `${kind.resource}/${selection.namespace ?? ''}/${selection.fieldSelector ?? ''}`;
    const entry = watched.get(key) ?? watch(kind, selection);
    watched.set(key, entry);
    entry.linger?.[Symbol.dispose]();
    entry.linger = undefined;
    const informer: WritableInformer<T> = informers.for(kind, selection);
    if (!informer.hasSynced) await informer.synced;
    entry.pods.add(podUid); // After the first list, which is no change.
    return informer;
  };
  const get = async <T extends KubeObject>(
    kind: KindRef<T>,
    where: { readonly podUid: string; readonly namespace: string | undefined; readonly name: string },
  ): Promise<T | undefined> => {
    const { podUid, namespace, name } = where;
    if (name === '') return undefined;
    const at = namespace === undefined ? name : `${namespace}/${name}`;
    const fieldSelector = `metadata.name=${name}`;
    const selection = namespace === undefined ? { fieldSelector } : { namespace, fieldSelector };
    return (await follow(kind, podUid, selection)).get(at);
  };
  let areBundlesServed = false;
  return {
    configMap: (podUid, namespace, name) => get(configMaps, { podUid, namespace, name }),
    secret: (podUid, namespace, name) => get(secrets, { podUid, namespace, name }),
    trustBundles: async (podUid) => {
      // An informer waits for a kind to come: who asks wants to be told that it is not there.
      areBundlesServed ||= await isServed(informers.client, clusterTrustBundles);
      return areBundlesServed ? (await follow(clusterTrustBundles, podUid, {})).list() : undefined;
    },
    runtimeClass: (podUid, name) => get(runtimeClasses, { podUid, namespace: undefined, name }),
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

async function isServed(client: ApiClient, kind: KindRef<KubeObject>): Promise<boolean> {
  try {
    await client.list(kind, { limit: 1 });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    // The rights of nodes are for what there is: what is not served may be forbidden, too.
    if (isForbidden(error) && !(await isDiscovered(client, kind))) return false;
    throw error;
  }
}

async function isDiscovered(
  client: ApiClient,
  { group, version, resource }: KindRef<KubeObject>,
): Promise<boolean> {
  try {
    const found = await discoverKindsOf(client, `${group}/${version}`);
    return found.some((each) => each.resource === resource);
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
