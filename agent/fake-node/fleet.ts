/** Many fake nodes in one process: one connection, one watch of their pods, one port for all (decision 0125). */
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { nodes as nodeKind } from '#api/schema/kind-ref.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { isNotFound } from '#client/api-error.ts';
import type { Informers } from '#client/informers.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import { createAccess, defaultAccess } from '#agent/kubelet/server/access/access.ts';
import { createReviews } from '#agent/kubelet/server/access/reviews.ts';
import {
  startKubeletServer,
  type KubeletServer,
  type KubeletServerOptions,
  type KubeletTls,
} from '#agent/kubelet/server/kubelet-server.ts';
import { HttpCounts } from '#agent/kubelet/stats/http-counts.ts';
import { renderResourceMetrics } from '#agent/kubelet/stats/resource-metrics.ts';
import type { NodeInput } from '#agent/node/node-status.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { createFakeLogs } from './fake-disk.ts';
import { startFakeNode, type FakeNode, type NodeShape } from './fake-node.ts';
import { createFakeStats } from './fake-stats.ts';
import { shareInformers, watchNodePods, type NodePods } from './shared-informers.ts';

/** By it one fleet's nodes are found; the value is the fleet's name. */
export const fleetLabel = 'podwright/fake';

export interface FleetOptions {
  /** Of the nodes: `fake` makes fake-0, fake-1, …. */
  readonly name: string;
  readonly count: number;
  readonly shapeOf: (index: number) => NodeShape;
  /** Its client is who all nodes ask as. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly server: { readonly host: string; readonly port: number; readonly tls: KubeletTls };
  /** The process's own; logs of containers that say something are below. */
  readonly directory: string;
  readonly versions: NodeInput['versions'];
  readonly leaseSeconds: number;
}

export interface Fleet extends AsyncDisposable {
  readonly port: number;
  readonly nodes: readonly FakeNode[];
  /** Deletes the Node objects. */
  removeNodes(signal: AbortSignal): Promise<void>;
}

/** Nodes that are begun, or removed, at once. */
const atOnceMax = 32;

/** Resolves when all are registered. */
export async function startFleet(options: FleetOptions, signal: AbortSignal): Promise<Fleet> {
  const { name, count, informers, clock, logger } = options;
  await using undo = new AsyncDisposableStack();

  const names = Array.from({ length: count }, (_, index) => `${name}-${index}`);
  const { client } = informers;
  const pods = undo.use(watchNodePods(names, { client, clock, logger }));
  const nodeInformer = informers.for(nodeKind, { labelSelector: `${fleetLabel}=${name}` });
  await Promise.race([Promise.all([pods.synced, nodeInformer.synced]), aborted(signal)]);
  const byName = new Map<string, FakeNode>();
  const server = undo.use(await startServer(options, pods, byName));
  const shared = shareInformers(informers, pods, (node) => nodeInformer.get(node));
  const logs = createFakeLogs(clock);
  const directories = directoriesOf(options.directory);
  undo.use(nodeInformer.onChange(({ key }) => byName.get(key)?.nodeChanged()));
  await inTurn(count, signal, async (index) => {
    const nodeName = names[index] ?? '';
    const { labels, ...shape } = options.shapeOf(index);
    const node = await startFakeNode({
      ...{ clock, logger, logs, directories },
      name: nodeName,
      shape: { ...shape, labels: { ...labels, [fleetLabel]: name } },
      informers: shared.forNode(nodeName),
      podNamed: (namespace, podName) => pods.of(nodeName).get(`${namespace}/${podName}`),
      node: () => nodeInformer.get(nodeName),
      endpoint: { ips: [options.server.host], port: server.port },
      versions: options.versions,
      leaseSeconds: options.leaseSeconds,
    });
    undo.use(node);
    byName.set(nodeName, node);
    await Promise.race([node.registered, aborted(signal)]);
    node.nodeChanged();
  });
  const owned = undo.move();
  return {
    port: server.port,
    nodes: [...byName.values()],
    removeNodes: (until) =>
      inTurn(count, until, async (index) => {
        try {
          await client.delete(nodeKind, { name: names[index] ?? '' });
        } catch (error) {
          if (!isNotFound(error))
            logger.warn({ node: names[index], error: describeError(error) }, 'node not removed');
        }
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function directoriesOf(directory: string): KubeletDirectories {
  const below = (name: string): string => join(directory, name);
  return {
    pods: below('pods'),
    podsMemory: below('memory'),
    volumes: below('volumes'),
    logs: join(directory, 'logs', 'pods'),
    kubelet: below('kubelet'),
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return promise;
}

/** @throws the signal's reason, or what one of them threw */
async function inTurn(
  count: number,
  signal: AbortSignal,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const follow = async (): Promise<void> => {
    while (next < count) {
      signal.throwIfAborted();
      await work(next++);
    }
  };
  await Promise.all(Array.from({ length: atOnceMax }, follow));
}

/** Paths that name a pod: `exec/NAMESPACE/POD/…`. */
const podPath = /^\/(?:containerLogs|exec|attach|portForward)\/([^/]+)\/([^/?]+)/;
/** What the API server passes on for a node says so (the proxy of net/http/httputil's kin in apimachinery does, too). */
const nodePath = /^\/api\/v1\/nodes\/([^/:]+)(?::[^/]*)?\/proxy(?:\/|$)/;

/** As the annotation of each node tells metrics-server, which knows of no proxy. */
const metricsPath = /^\/nodes\/([^/]+)(\/metrics\/resource)$/;

/** Which node a request is for; undefined: none of ours, or it does not say. */
export function nodeAsked(
  { url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>,
  pods: Pick<NodePods, 'find'>,
): string | undefined {
  const [, namespace, pod] = podPath.exec(url) ?? [];
  if (namespace !== undefined && pod !== undefined) return pods.find(namespace, pod)?.spec?.nodeName;
  return metricsPath.exec(url)?.[1] ?? nodePath.exec(String(headers['x-forwarded-uri'] ?? ''))?.[1];
}

/** One port for all nodes. */
function startServer(
  { name, informers, clock, logger, server, directory }: FleetOptions,
  pods: NodePods,
  byName: ReadonlyMap<string, FakeNode>,
): Promise<KubeletServer> {
  const { client } = informers;
  const known = new Map<string, KubeletServerOptions>(); // of nodes that were asked
  const nobody: KubeletServerOptions = {
    hosts: [server.host],
    port: server.port,
    tls: server.tls,
    access: createAccess(defaultAccess, createReviews({ client, nodeName: name, clock }), logger),
    runtime: createFakeRuntime({ clock, isSilent: true }),
    clock,
    logger,
    directories: directoriesOf(directory),
    pods: () => [],
    podByName: () => undefined,
    readStats: () => Promise.reject(new TypeError('the request names no node')),
    config: {},
    flags: {},
    metrics: () => '',
    probeMetrics: () => '',
    requests: new HttpCounts(),
  };
  const optionsOf = (node: FakeNode): KubeletServerOptions => {
    const readStats = createFakeStats(node, clock);
    return {
      ...nobody,
      access: createAccess(defaultAccess, createReviews({ client, nodeName: node.name, clock }), logger),
      runtime: node.runtime,
      pods: () => node.workers.pods(),
      podByName: (namespace, pod) => node.workers.podByName(namespace, pod),
      readStats,
      metrics: async () => renderResourceMetrics(await readStats()),
    };
  };
  return startKubeletServer({
    ...nobody,
    nodeOf: (request) => {
      const asked = nodeAsked(request, pods);
      const node = asked === undefined ? undefined : byName.get(asked);
      if (node === undefined) return undefined;
      request.url = (request.url ?? '').replace(metricsPath, '$2');
      const own = known.get(node.name) ?? optionsOf(node);
      known.set(node.name, own);
      return own;
    },
  });
}
