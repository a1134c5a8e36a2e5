import { KeyedQueue } from '#base/keyed-queue.ts';
import { pods, services } from '#api/schema/kind-ref.ts';
import type { Pod } from '#api/generated/objects.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import { mayUseDevices } from './admit-devices.ts';
import { adoptOrphans, releaseOrphanClaims, removeOrphanVolumes } from './orphans.ts';
import { forgetPod, takePods } from './pod-intake.ts';
import type { PodMemories } from './pod-memory.ts';
import { isForgotten, syncPod, type SyncPorts } from './pod-sync.ts';
import { createSyncPorts, tellRetry, type PodWorkersOptions } from './sync-ports.ts';
import { keepMirrors } from '#agent/kubelet/static/mirror-pods.ts';
import { joinSources } from '#agent/kubelet/static/pod-sources.ts';
import { startStaticPods, type StaticPods } from '#agent/kubelet/static/static-pods.ts';
import { watchLimits } from '#agent/kubelet/evict/watch-limits.ts';

/** Pods of one node, kept as the API wants them. Disposing stops the work and leaves the pods running. */
export interface PodWorkers extends AsyncDisposable {
  /** The pods that the API has for this node, newest objects. */
  pods(): readonly Pod[];
  podByName(namespace: string, name: string): Pod | undefined;
  /** Something outside of the pod's objects changed what its volumes are. */
  refreshVolumes(uid: string): void;
  /** Resolves when nothing is being worked on now; timers do not count. For tests. */
  idle(): Promise<void>;
}

const workersMax = 16;
const retryBackoff = { initialMs: 500, factor: 2, maxMs: 30_000 } as const;

/** Takes the node's pods on: those that run are kept running, those that the API no longer has are ended. */
export async function startPodWorkers(options: PodWorkersOptions): Promise<PodWorkers> {
  const { informers, runtime, clock, logger, node } = options;
  await using undo = new AsyncDisposableStack();

  const podInformer = informers.for(pods, { fieldSelector: `spec.nodeName=${node.name}` });
  const serviceInformer = informers.for(services);
  const memories: PodMemories = new Map();
  const recorder = undo.use(
    createEventRecorder({ client: informers.client, component: 'kubelet', host: node.name, clock, logger }),
  );
  const queue: KeyedQueue<string> = undo.use(
    new KeyedQueue<string>({
      clock,
      concurrencyMax: workersMax,
      backoff: retryBackoff,
      work: async (uid, signal) => {
        const memory = memories.get(uid);
        if (memory === undefined) return undefined;
        const startMs = clock.monotonic();
        const outcome = await syncPod(memory, ports, signal);
        options.counts?.podSync.observe((clock.monotonic() - startMs) / 1000);
        if (isForgotten(memory, ports)) forgetPod(uid, memories, ports);
        return outcome;
      },
      onError: tellRetry(logger, memories, 'pod worker failed'),
    }),
  );
  const statics = await startStatics(options, memories);
  if (statics !== undefined) undo.use(statics);
  const sources = joinSources(podInformer, statics);
  const ports = createSyncPorts(options, { memories, queue, podInformer, sources, recorder, undo });

  undo.use(runtime.onChange((uid) => queue.add(uid)));
  // They do not wait for any server.
  if (sources.fromFiles !== undefined) undo.use(takePods({ source: sources.fromFiles, memories, ports }));
  await Promise.all([podInformer.synced, serviceInformer.synced]);
  adoptOrphans(sources.fromApi, memories, ports);
  undo.use(takePods({ source: sources.fromApi, memories, ports }));
  if (statics !== undefined)
    undo.use(
      keepMirrors({
        client: informers.client,
        informer: podInformer,
        statics,
        nodeName: node.name,
        clock,
        logger,
      }),
    );
  followDevices(undo, options, { memories, queue, ports });
  await ports.volumes.recall();
  undo.use(await removeOrphanVolumes(memories, ports, options.volumeCounts));
  undo.use(releaseOrphanClaims(memories, ports));
  const isKnown = (uid: string): boolean => memories.has(uid) || runtime.observe(uid) !== undefined;
  undo.use(ports.disk.collectLogs({ isKnown, pods: () => runtime.observeAll(), clock, logger }));
  undo.use(watchLimits(memories, ports));
  if (options.pressure !== undefined) undo.use(options.pressure.watch(memories, ports));
  if (options.shutdown !== undefined) await undo.use(options.shutdown).start(memories, ports);

  const owned = undo.move();
  return {
    pods: () => sources.list(),
    podByName: (namespace, name) => sources.byName(namespace, name),
    refreshVolumes: (uid) => {
      if (memories.get(uid)?.report({ kind: 'objectChanged' }) === true) queue.add(uid);
    },
    idle: () => queue.idle(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** All pods are known now: what others had is free. A device that fails shows in its pod's status. */
function followDevices(
  stack: AsyncDisposableStack,
  { devices, claimHealths }: PodWorkersOptions,
  parts: { readonly memories: PodMemories; readonly queue: KeyedQueue<string>; readonly ports: SyncPorts },
): void {
  const { memories, queue, ports } = parts;
  devices?.collectBy((uid) => mayUseDevices(uid, memories, ports));
  const look = (uids: readonly string[]): void => {
    for (const uid of uids) if (memories.has(uid)) queue.add(uid);
  };
  for (const source of [devices, claimHealths]) if (source !== undefined) stack.use(source.onChange(look));
}

async function startStatics(
  { staticPods, runtime, clock, logger, node }: PodWorkersOptions,
  memories: PodMemories,
): Promise<StaticPods | undefined> {
  if (staticPods === undefined) return undefined;
  const isGone = (uid: string): boolean => !memories.has(uid) && runtime.observe(uid) === undefined;
  return startStaticPods({ ...staticPods, nodeName: node.name, isGone, clock, logger });
}
