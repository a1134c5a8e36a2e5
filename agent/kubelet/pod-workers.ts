import { readFile } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { pods, services } from '#api/kind-ref.ts';
import type { Pod } from '#api/objects.ts';
import { createEventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import { withRemedy } from '#client/remedy.ts';
import type { PodObservation, Runtime } from '#agent/runtime/runtime.ts';
import { createPodVolumes } from '#agent/volume/pod-volumes.ts';
import { createTokens } from '#agent/volume/tokens.ts';
import type { Mounter } from '#agent/volume/volume.ts';
import { refusalOf } from './admission.ts';
import { overLimit, evictionCheckMs } from './evict.ts';
import { createImagePuller } from './image-puller.ts';
import { collectOrphanLogs } from './orphan-logs.ts';
import { createPodEvents, podNames, type PodEvents } from './pod-events.ts';
import type { PodDesired } from './pod-input.ts';
import { allocatedPod, createPodMemory, type PodMemory } from './pod-memory.ts';
import type { KubeletDirectories } from './pod-paths.ts';
import { isForgotten, syncPod, type SyncPorts } from './pod-sync.ts';
import type { NodeFacts } from './ports.ts';
import { createProber, type Prober } from './prober.ts';
import { createReferencedObjects } from './referenced-objects.ts';
import { createStatusWriter } from './status-writer.ts';

export interface PodWorkersOptions {
  /** Its client is the kubelet's; the pods of this node and all Services are watched through it. */
  readonly informers: Informers;
  readonly runtime: Runtime;
  readonly mounter: Mounter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: KubeletDirectories;
  readonly node: Omit<NodeFacts, 'hostsFile'>;
  /** Addresses of the cluster DNS; none: pods resolve as the node does. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** Paths of the node's own files; given by tests. */
  readonly hostFiles?: { readonly hosts: string; readonly resolvConf: string };
}

/** Pods of one node, kept as the API wants them. Disposing stops the work and leaves the pods running. */
export interface PodWorkers extends AsyncDisposable {
  /** The pods that the API has for this node, newest objects. */
  pods(): readonly Pod[];
  podByName(namespace: string, name: string): Pod | undefined;
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
  const memories = new Map<string, PodMemory>();
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
        const outcome = await syncPod(memory, ports, signal);
        if (isForgotten(memory, ports)) forget(uid);
        return outcome;
      },
      onError: (uid, error, retryMs) =>
        logger.warn(
          {
            ...podNames(memories.get(uid)?.desired.pod, uid),
            error: describeError(error),
            retryMs,
            ...withRemedy(error),
          },
          'pod worker failed',
        ),
    }),
  );
  const ports = await createPorts(options, { memories, queue, podInformer, recorder, undo });

  const note = (pod: Pod, isPresent: boolean): void => {
    const uid = pod.metadata?.uid ?? '';
    const desired: PodDesired = { pod, isPresent };
    const memory = memories.get(uid) ?? createPodMemory(uid, desired, clock.now());
    if (!memories.has(uid) && !isPresent) return; // Never seen here.
    const isNew = !memories.has(uid);
    memories.set(uid, memory);
    if (isNew) {
      // Also those of which nothing is made yet: two that come at once may not both have the last of something.
      const admitted = podInformer.list().flatMap((other) => {
        const otherUid = other.metadata?.uid ?? '';
        const known = memories.get(otherUid);
        if (known !== undefined && known.facts.rejection === undefined) return allocatedPod(known);
        return ports.runtime.observe(otherUid) === undefined ? [] : other;
      });
      admit(memory, admitted, ports);
    }
    memory.want(desired, clock.now());
    queue.add(uid);
    // Whatever changed may have made the room that a resize waits for.
    for (const other of memories.values()) if (other.facts.resize.pending !== undefined) queue.add(other.uid);
  };
  const forget = (uid: string): void => {
    memories.delete(uid);
    ports.statusWriter.forget(uid);
    ports.objects.release(uid);
    ports.prober.keepOnly(uid, new Set());
  };

  await Promise.all([podInformer.synced, serviceInformer.synced]);
  adoptOrphans(podInformer, memories, ports);
  undo.use(runtime.onChange((uid) => queue.add(uid)));
  undo.use(
    podInformer.onChange(({ old, current }) => {
      // One name, another uid: the old pod is gone.
      if (old !== undefined && old.metadata?.uid !== current?.metadata?.uid) note(old, false);
      if (current !== undefined) note(current, true);
    }),
  );
  await removeOrphanVolumes(memories, ports);
  const isKnown = (uid: string): boolean => memories.has(uid) || runtime.observe(uid) !== undefined;
  const observed = (): readonly PodObservation[] => runtime.observeAll();
  undo.use(
    collectOrphanLogs({ directory: options.directories.logs, isKnown, pods: observed, clock, logger }),
  );
  undo.use(watchLimits(memories, ports));

  const owned = undo.move();
  return {
    pods: () => podInformer.list(),
    podByName: (namespace, name) => podInformer.get(`${namespace}/${name}`),
    idle: () => queue.idle(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Parts {
  readonly memories: ReadonlyMap<string, PodMemory>;
  readonly queue: KeyedQueue<string>;
  readonly podInformer: WritableInformer<Pod>;
  readonly recorder: ReturnType<typeof createEventRecorder>;
  readonly undo: AsyncDisposableStack;
}

async function createPorts(options: PodWorkersOptions, parts: Parts): Promise<SyncPorts> {
  const { informers, runtime, clock, logger, directories, mounter } = options;
  const { memories, queue, podInformer, recorder, undo } = parts;
  const { client } = informers;
  const files = options.hostFiles ?? { hosts: '/etc/hosts', resolvConf: '/etc/resolv.conf' };
  const [hostsFile, hostResolvConf] = await Promise.all([readText(files.hosts), readText(files.resolvConf)]);
  const events = createPodEvents(recorder, logger);
  const enqueue = (uid: string, afterMs = 0): void => queue.addAfter(uid, afterMs);
  const objects = undo.use(
    createReferencedObjects({
      informers,
      clock,
      onChange: (uid) => {
        if (memories.get(uid)?.report({ kind: 'objectChanged' }) === true) queue.add(uid);
      },
    }),
  );
  const tokens = createTokens({ client, clock });
  const statusWriter = undo.use(
    createStatusWriter({
      client,
      clock,
      podOf: (uid) => {
        const desired = memories.get(uid)?.desired;
        return desired?.isPresent === true ? desired.pod : undefined;
      },
      onWritten: (uid, pod) => {
        podInformer.observe(pod);
        queue.add(uid);
      },
      onError: (uid, error, retryMs) =>
        logger.warn(
          {
            ...podNames(memories.get(uid)?.desired.pod, uid),
            error: describeError(error),
            retryMs,
            ...withRemedy(error),
          },
          'status not written',
        ),
    }),
  );
  const prober = undo.use(createTellingProber(options, { events, memories, queue }));
  const volumes = createPodVolumes({
    directory: directories.pods,
    memoryDirectory: directories.podsMemory,
    mounter,
    objects: (podUid) => ({
      configMap: (namespace, name) => objects.configMap(podUid, namespace, name),
      secret: (namespace, name) => objects.secret(podUid, namespace, name),
      serviceAccountToken: (wish) => tokens.get(wish),
    }),
  });
  return {
    client,
    runtime,
    volumes,
    mounter,
    objects,
    services: () => informers.for(services).list(),
    puller: createImagePuller(runtime.images),
    events,
    clock,
    logger,
    directories,
    dns: { clusterDns: options.clusterDns, clusterDomain: options.clusterDomain, hostResolvConf },
    node: { ...options.node, hostsFile },
    neighbours: (uid) =>
      [...memories.values()]
        .filter(
          (other) => other.uid !== uid && other.desired.isPresent && other.facts.rejection === undefined,
        )
        .map(allocatedPod),
    enqueue,
    prober,
    statusWriter,
  };
}

/** Probes whose every failure is an event. */
function createTellingProber(
  { runtime, clock }: PodWorkersOptions,
  { events, memories, queue }: Pick<Parts, 'memories' | 'queue'> & { readonly events: PodEvents },
): Prober {
  return createProber({
    runtime,
    clock,
    report: (uid, outcome) => {
      const isChanged = memories.get(uid)?.report(outcome) === true;
      if (isChanged && outcome.kind === 'probed') queue.add(uid);
    },
    onUnhealthy: ({ pod, container }, type, output) => {
      const kind = `${type[0]?.toUpperCase() ?? ''}${type.slice(1)}`;
      const isQuoting = container[`${type}Probe`]?.exec !== undefined;
      const place = { container: container.name, isQuoting };
      events.warning(pod, 'Unhealthy', `${kind} probe failed: ${output}`, place);
      events.release();
    },
  });
}

/** Refuses what this node cannot run, once, before anything of it is made. */
function admit(memory: PodMemory, admitted: readonly Pod[], { runtime, events, node }: SyncPorts): void {
  const { pod } = memory.desired;
  if (runtime.observe(memory.uid) !== undefined || pod.metadata?.deletionTimestamp !== undefined) return;
  if (pod.status?.containerStatuses !== undefined) return; // It ran here before a reboot.
  const refusal = refusalOf(pod, admitted, node);
  if (refusal === undefined) return;
  memory.report({ kind: 'refused', refusal });
  events.warning(pod, refusal.reason, refusal.message);
}

/** Pods that the node has and the API has not: deleted while no agent ran. They end at once. */
function adoptOrphans(
  informer: WritableInformer<Pod>,
  memories: Map<string, PodMemory>,
  { runtime, clock, enqueue }: SyncPorts,
): void {
  const wanted = new Set(informer.list().map((pod) => pod.metadata?.uid));
  for (const orphan of runtime.observeAll()) {
    if (wanted.has(orphan.uid)) continue;
    const desired: PodDesired = { pod: orphanPod(orphan), isPresent: false };
    memories.set(orphan.uid, createPodMemory(orphan.uid, desired, clock.now()));
    enqueue(orphan.uid);
  }
}

function orphanPod({ uid, namespace, name }: PodObservation): Pod {
  return { metadata: { uid, namespace, name, deletionGracePeriodSeconds: 1 }, spec: { containers: [] } };
}

async function removeOrphanVolumes(
  memories: ReadonlyMap<string, PodMemory>,
  { volumes }: SyncPorts,
): Promise<void> {
  for (const uid of await volumes.uids()) if (!memories.has(uid)) await volumes.remove(uid);
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => ''); // A host without the file has nothing in it.
}

/** By container name, what its runs that are still on the node wrote. */
function layersOf(uid: string, runtime: Runtime): ReadonlyMap<string, readonly string[]> {
  const layers = new Map<string, readonly string[]>();
  for (const { id, name } of runtime.observe(uid)?.containers ?? [])
    layers.set(name, [...(layers.get(name) ?? []), runtime.writableLayer(id)]);
  return layers;
}

/** Evicts pods that outgrew their limits of local storage. */
function watchLimits(memories: ReadonlyMap<string, PodMemory>, ports: SyncPorts): Disposable {
  const { clock, directories, events, logger, enqueue, runtime } = ports;
  const abort = new AbortController();
  const check = async (): Promise<void> => {
    for (const memory of memories.values()) {
      if (memory.facts.rejection !== undefined || memory.facts.volumes.state !== 'ready') continue;
      const { pod } = memory.desired;
      const writableLayers = layersOf(memory.uid, runtime);
      const message = await overLimit(pod, { directories, writableLayers });
      if (message === undefined) continue;
      memory.report({ kind: 'refused', refusal: { reason: 'Evicted', message } });
      events.warning(pod, 'Evicted', message);
      enqueue(memory.uid);
    }
  };
  const run = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(evictionCheckMs, abort.signal);
      await check().catch((error: unknown) =>
        logger.warn({ error: describeError(error) }, 'volume usage not read'),
      );
    }
  };
  run().catch(() => undefined); // Ends by abort only.
  return { [Symbol.dispose]: () => abort.abort(new DOMException('kubelet stopped', 'AbortError')) };
}
