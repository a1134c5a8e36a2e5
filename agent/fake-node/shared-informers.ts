/** Many nodes of one process watch together: one watch of all pods that have a node, and one of whatever else several ask for. */
import { nodes as nodeKind, pods as podKind } from '#api/schema/kind-ref.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';
import { createInformerCache, type InformerCache } from '#client/informer.ts';
import { withoutManagedFields, type Informers } from '#client/informers.ts';
import { runReflector, type ReflectorSink } from '#client/reflector.ts';

export interface NodePods extends AsyncDisposable {
  /** Resolves when each node has its first list. */
  readonly synced: Promise<void>;
  /** The pods of one of the nodes. */
  of(nodeName: string): InformerCache<Pod>;
  /** By namespace and name, of whichever of the nodes. */
  find(namespace: string, name: string): Pod | undefined;
}

/** Watches the pods of all nodes that are named once, and gives each to its node's cache. */
export function watchNodePods(
  names: readonly string[],
  { client, clock, logger }: { readonly client: ApiClient; readonly clock: Clock; readonly logger: Logger },
): NodePods {
  const onHandlerError = (error: unknown): void =>
    logger.error({ error: describeError(error) }, 'handler of an informer threw');
  const caches = new Map(
    names.map((name) => [name, createInformerCache<Pod>(onHandlerError, withoutManagedFields)]),
  );
  const nodeOf = new Map<string, string>(); // by namespace/name
  const keyOf = ({ metadata }: Pod): string => `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
  const sink: ReflectorSink<Pod> = {
    replace: (items, resourceVersion) => {
      const groups = Map.groupBy(items, ({ spec }) => spec?.nodeName ?? '');
      nodeOf.clear();
      for (const [name, cache] of caches) {
        const own = groups.get(name) ?? [];
        for (const pod of own) nodeOf.set(keyOf(pod), name);
        cache.replace(own, resourceVersion);
      }
    },
    apply: (event) => {
      if (event.type === 'BOOKMARK') return; // A cache needs to know of its own pods only.
      const name = event.object.spec?.nodeName ?? '';
      const cache = caches.get(name);
      if (cache === undefined) return;
      cache.apply(event);
      const key = keyOf(event.object);
      if (cache.get(key) !== undefined) nodeOf.set(key, name);
      else if (nodeOf.get(key) === name) nodeOf.delete(key);
    },
  };
  const abort = new AbortController();
  const onError = (error: unknown, retryMs: number): void =>
    logger.warn({ error: describeError(error), retryMs }, 'watch of pods interrupted; it is tried again');
  const selection = { fieldSelector: 'spec.nodeName!=' };
  const done = runReflector(
    { client, kind: podKind, selection, sink, clock, random: Math.random, onError },
    abort.signal,
  );
  const of = (name: string): InformerCache<Pod> => {
    const cache = caches.get(name);
    if (cache === undefined) throw new TypeError(`${name} is not watched`);
    return cache;
  };
  return {
    synced: Promise.all([...caches.values()].map(({ synced }) => synced)).then(() => undefined),
    of,
    find: (namespace, name) => {
      const key = `${namespace}/${name}`;
      const node = nodeOf.get(key);
      return node === undefined ? undefined : of(node).get(key);
    },
    [Symbol.asyncDispose]: async () => {
      abort.abort(new DOMException('watch ended', 'AbortError'));
      await done;
    },
  };
}

/** What a node of the process asks by: its own pods are in their cache, its Node too; all else is shared with the other nodes. */
export interface SharedInformers {
  forNode(nodeName: string): Informers;
}

export function shareInformers(
  informers: Informers,
  pods: NodePods,
  nodeOf: (name: string) => Node | undefined,
): SharedInformers {
  const users = new Map<string, number>(); // by kind and selection
  const keyOf = (kind: { readonly resource: string }, selection: object): string =>
    JSON.stringify([kind.resource, selection]);
  return {
    forNode: (nodeName) => {
      const own = new Set<string>();
      const shared: Informers = {
        client: clientOf(informers.client, nodeName, nodeOf),
        for: (kind, options = {}) => {
          if (kind.resource === podKind.resource && kind.group === podKind.group)
            // The kind has one type of object.
            return pods.of(nodeName) as unknown as ReturnType<typeof informers.for<object>> as never;
          const { indexes: _indexes, transform: _transform, ...selection } = options;
          const key = keyOf(kind, selection);
          if (!own.has(key)) users.set(key, (users.get(key) ?? 0) + 1);
          own.add(key);
          return informers.for(kind, options);
        },
        synced: () => informers.synced(),
        stop: async (kind, selection = {}) => {
          const key = keyOf(kind, selection);
          if (!own.delete(key)) return;
          const left = (users.get(key) ?? 1) - 1;
          if (left > 0) return void users.set(key, left);
          users.delete(key);
          await informers.stop(kind, selection);
        },
        [Symbol.asyncDispose]: async () => undefined,
      };
      return shared;
    },
  };
}

/** A node that looks at its own Node finds it in the cache that all share. */
function clientOf(
  client: ApiClient,
  nodeName: string,
  nodeOf: (name: string) => Node | undefined,
): ApiClient {
  const get: ApiClient['get'] = <T>(
    kind: Parameters<ApiClient['get']>[0],
    where: ObjectRef,
    options?: { readonly subresource?: string },
  ): Promise<T> => {
    const isOwn = kind.resource === nodeKind.resource && kind.group === '' && where.name === nodeName;
    const known = isOwn && options?.subresource === undefined ? nodeOf(nodeName) : undefined;
    // The kind has one type of object.
    if (known !== undefined) return Promise.resolve(known as unknown as T);
    return client.get(kind, where, options) as Promise<T>;
  };
  return { ...client, get };
}
