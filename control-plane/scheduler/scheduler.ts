import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { nextTurn, TurnTime } from '#base/time-slice.ts';
import type { Logger } from '#base/log.ts';
import { namespaces, nodes, pods, services, type KindRef } from '#api/schema/kind-ref.ts';
import { awaitsDeviceClaims } from '#api/device/pod-claims.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Binding, Namespace, Pod, PodCondition, Service } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { createEventRecorder, type EventRecorder } from '#client/event-recorder.ts';
import type { ApiClient, Informer } from '#client/client.ts';
import type { Change } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import { createClusterCache, type ClusterCache } from './cluster-cache.ts';
import {
  claimEvent,
  deviceClaimEvent,
  nodeEvent,
  placedPodEvents,
  volumeEvent,
  type ClusterEvent,
} from './cluster-event.ts';
import { decide, type Decision } from './decide.ts';
import { createDeviceBinder, type ClaimReservation, type DeviceBinder } from './devices/device-binder.ts';
import { createPendingPods, type PendingPods } from './pending-pods.ts';
import { filterPlugins } from './plugins.ts';
import { Preemptor, type Preempted } from './preempt/preemptor.ts';
import { dynamicResourcesFilter } from './plugins/dynamic-resources.ts';
import type { Snapshot } from './snapshot.ts';
import { createVolumeBinder, type Reservation, type VolumeBinder } from './volumes/bind-volumes.ts';

export interface SchedulerOptions {
  /** Read for it by somebody who may, who shares them with the controllers. */
  readonly informers: Informers;
  /** As whom it binds pods and says why others wait. */
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Pods that name another scheduler are left alone. */
  readonly schedulerName?: string;
}

export const defaultSchedulerName = 'default-scheduler';
/** Of all schedulers of the process: 10,000 pods at once do not stop the server. */
const decidingTime = new TurnTime();

/** Binds each pod that waits for a node as soon as its informer tells of it. Runs until disposed. */
export function startScheduler(options: SchedulerOptions): AsyncDisposable {
  return new Scheduler(options);
}

class Scheduler implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #services: Informer<Service>;
  readonly #namespaces: Informer<Namespace>;
  readonly #volumes: VolumeBinder;
  readonly #devices: DeviceBinder;
  readonly #preemptor: Preemptor;
  readonly #abort = new AbortController();
  readonly #binding = new Set<Promise<void>>();
  readonly #attached = new DisposableStack();
  readonly #namespaceLabels: Snapshot['namespaceLabels'] = (namespace) =>
    this.#namespaces.get(namespace)?.metadata?.labels ?? {};
  /** Where the next pod begins to look. */
  #nextNode = 0;
  #isRunning = false;
  #isClosed = false;

  constructor({ informers, client, clock, logger, schedulerName = defaultSchedulerName }: SchedulerOptions) {
    const recorder = createEventRecorder({ client, component: schedulerName, clock, logger });
    const pending = createPendingPods(clock, () => this.#start());
    const cache = createClusterCache();
    this.#parts = { informers, client, cache, pending, recorder, logger, clock, schedulerName };
    this.#services = informers.for(services, {
      indexes: { namespace: (service) => [service.metadata?.namespace ?? ''] },
    });
    this.#namespaces = informers.for(namespaces);
    this.#volumes = createVolumeBinder({ informers, client, clock, isUsed: cache.isClaimUsed });
    this.#devices = createDeviceBinder({ informers, client, clock });
    this.#preemptor = new Preemptor({
      ...{ informers, client, recorder, logger, clock, schedulerName, node: cache.node },
      snapshot: () => this.#snapshot(),
      isWaiting: (pod) => isStillWaiting(this.#parts, pod),
    });
    const { claims, volumes, classes, drivers, csiNodes, capacities } = this.#volumes;
    const caches = [
      ...[informers.for(pods), informers.for(nodes), this.#services, this.#namespaces],
      ...[claims, volumes, classes, drivers, csiNodes, capacities],
      ...[this.#devices.claims, this.#devices.slices, this.#devices.classes],
      this.#preemptor.budgets,
    ];
    void Promise.all(caches.map(({ synced }) => synced)).then(() => this.#attach());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#abort.abort(new DOMException('scheduler stopped', 'AbortError'));
    this.#attached.dispose();
    this.#parts.pending[Symbol.dispose]();
    await Promise.allSettled(this.#binding);
    await this.#parts.recorder[Symbol.asyncDispose]();
  }

  #attach(): void {
    if (this.#isClosed) return;
    const { informers, cache } = this.#parts;
    this.#attached.use(
      informers.for(nodes).onChange(({ key, old, current }) => {
        cache.setNode(key, current);
        this.#wake(nodeEvent(old, current));
      }),
    );
    this.#attached.use(
      informers.for(pods).onChange((change) => {
        this.#wake(takePodChange(this.#parts, change));
        const { key, current } = change;
        noteNomination(this.#parts, this.#preemptor, change);
        this.#volumes.note('pod', key);
        if (current !== undefined && isGated(current)) void noteGated(this.#parts, current);
      }),
    );
    this.#attachVolumes();
    this.#attachDevices();
  }

  #attachVolumes(): void {
    const { claims, volumes, classes, drivers, csiNodes, capacities } = this.#volumes;
    for (const informer of [drivers, capacities])
      this.#attached.use(informer.onChange(() => this.#wake([{ kind: 'capacity' }])));
    this.#attached.use(csiNodes.onChange(() => this.#wake([{ kind: 'csiNode' }])));
    this.#attached.use(
      claims.onChange(({ key, old, current }) => {
        this.#volumes.note('claim', key);
        this.#wake(claimEvent(key, old, current));
      }),
    );
    this.#attached.use(volumes.onChange(({ old, current }) => this.#wake(volumeEvent(old, current))));
    this.#attached.use(
      classes.onChange(({ current }) => this.#wake(current === undefined ? [] : [{ kind: 'volume' }])),
    );
  }

  #attachDevices(): void {
    const { claims, slices, classes } = this.#devices;
    this.#attached.use(
      claims.onChange(({ key, old, current }) => {
        this.#devices.note(key, current);
        this.#wake(deviceClaimEvent(key, old, current));
      }),
    );
    this.#attached.use(
      slices.onChange(() => {
        this.#devices.noteSlices();
        this.#wake([{ kind: 'devices' }]);
      }),
    );
    this.#attached.use(
      classes.onChange(({ current }) => this.#wake(current === undefined ? [] : [{ kind: 'devices' }])),
    );
  }

  /** Tries again the pods that one of the events may help. A pod that no plugin refused had no nodes to be refused by. */
  #wake(events: readonly ClusterEvent[]): void {
    const labelsOf = this.#namespaceLabels;
    for (const event of events)
      this.#parts.pending.wakeUnschedulable((pod, refusedBy) =>
        refusedBy.size === 0
          ? event.kind === 'node'
          : filterPlugins.some(({ name, mayHelp }) => refusedBy.has(name) && mayHelp(pod, event, labelsOf)),
      );
  }

  #start(): void {
    if (this.#isRunning || this.#isClosed) return;
    this.#isRunning = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    const { pending } = this.#parts;
    await Promise.resolve(); // All pods that one event loop turn brings are in the queue first.
    // Nothing is pending any more once disposed.
    for (let pod = pending.take(); pod !== undefined; pod = pending.take()) {
      this.#schedule(pod);
      while (!decidingTime.isLeft()) await nextTurn();
    }
    this.#isRunning = false;
  }

  #schedule(pod: Pod): void {
    const { pending, logger } = this.#parts;
    const work = this.#tryOne(pod).catch((error: unknown) => {
      // A pod that breaks a plugin must not stop the others.
      logger.error({ pod: objectKey(pod), error: describeError(error) }, 'schedule failed');
      pending.putFailed(pod);
    });
    this.#binding.add(work);
    void work.finally(() => this.#binding.delete(work));
  }

  /** Decides, and counts the pod on its node, before it returns; the writes follow. */
  async #tryOne(pod: Pod): Promise<void> {
    const key = objectKey(pod);
    if (this.#preemptor.isBusy(key)) {
      this.#parts.pending.putUnschedulable(pod, new Set());
      this.#preemptor.missed(key);
      return;
    }
    if (this.#devices.isAwaiting(pod)) {
      this.#parts.pending.putUnschedulable(pod, new Set([dynamicResourcesFilter.name]));
      return;
    }
    const snapshot = this.#snapshot();
    const decision = decide({ pod, snapshot }, this.#nextNode);
    // The next pod begins where this one ended, so that each node has its turn.
    this.#nextNode = (this.#nextNode + decision.examined) % Math.max(1, snapshot.nodes.length);
    if (decision.kind === 'node') await this.#bind(pod, decision.nodeName);
    else {
      await this.#refuse(pod, decision);
      if (decision.refusedBy.has(dynamicResourcesFilter.name)) await this.#devices.release(pod);
    }
  }

  async #refuse(pod: Pod, decision: Extract<Decision, { kind: 'unschedulable' }>): Promise<void> {
    this.#parts.pending.putUnschedulable(pod, decision.refusedBy);
    const planned = this.#preemptor.plan(pod, decision);
    if (!(planned instanceof Promise)) {
      await this.#tell(pod, planned);
      return;
    }
    const isMissed = await this.#preemptor.during(pod, async () => this.#tell(pod, await planned));
    if (isMissed)
      this.#parts.pending.wakeUnschedulable(({ metadata }) => metadata?.uid === pod.metadata?.uid);
  }

  async #tell(pod: Pod, { message, plan }: Preempted): Promise<void> {
    const { nominations } = this.#preemptor;
    if (!isStillWaiting(this.#parts, pod)) {
      nominations.remove(objectKey(pod));
      return;
    }
    await tellRefused(this.#parts, pod, { message, nodeName: nominations.nodeOf(objectKey(pod)) });
    if (plan !== undefined) await this.#preemptor.evict(pod, plan);
  }

  async #bind(pod: Pod, nodeName: string): Promise<void> {
    const node = this.#parts.cache.node(nodeName)?.node;
    using volumes = this.#volumes.reserve(pod, nodeName);
    using devices = node === undefined ? undefined : this.#devices.reserve(pod, node);

    const isBound = await bindPod(this.#parts, { pod, nodeName, volumes, devices }, this.#abort.signal);
    if (!isBound) this.#wake([{ kind: 'podGone', pod }]);
  }

  #snapshot(): Snapshot {
    return {
      nodes: this.#parts.cache.nodes(),
      nodeNamed: this.#parts.cache.node,
      antiAffineNodes: this.#parts.cache.antiAffineNodes(),
      nodesBelow: this.#parts.cache.nodesBelow,
      volumes: this.#volumes.look,
      devices: this.#devices.look,
      nominated: (nodeName) => this.#preemptor.nominations.on(nodeName),
      services: (namespace) => this.#services.byIndex('namespace', namespace),
      namespaceLabels: this.#namespaceLabels,
    };
  }
}

interface Parts {
  readonly informers: Informers;
  readonly client: ApiClient;
  readonly cache: ClusterCache;
  readonly pending: PendingPods;
  readonly recorder: EventRecorder;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly schedulerName: string;
}

/** Takes a change of a pod into cache and queue. What of it may help pods that no node did for. */
function takePodChange(
  { cache, pending, schedulerName }: Pick<Parts, 'cache' | 'pending' | 'schedulerName'>,
  { key, old, current }: Change<Pod>,
): readonly ClusterEvent[] {
  const before = old !== undefined && isPlaced(old) ? old : undefined;
  if (current !== undefined && isPlaced(current)) {
    cache.setPod(key, current);
    pending.delete(key);
    return placedPodEvents(before, current);
  }
  const isOurs = current !== undefined && isWaiting(current, schedulerName);
  // An assumed pod is on its way to its node: an older event must not take it out again.
  if (isOurs && cache.isAssumed(key)) return [];
  cache.setPod(key, undefined);
  if (isOurs) pending.put(current);
  else pending.delete(key);
  return placedPodEvents(before, undefined);
}

function isPlaced(pod: Pod): boolean {
  return (pod.spec?.nodeName ?? '') !== '' && !isFinished(pod);
}

function isWaiting(pod: Pod, schedulerName: string): boolean {
  return (
    (pod.spec?.nodeName ?? '') === '' &&
    pod.metadata?.deletionTimestamp === undefined &&
    (pod.spec?.schedulerName ?? defaultSchedulerName) === schedulerName &&
    !isGated(pod) &&
    !awaitsDeviceClaims(pod) &&
    !isFinished(pod)
  );
}

function isGated(pod: Pod): boolean {
  return (pod.spec?.schedulingGates ?? []).length > 0;
}

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

const bindings: KindRef<Binding> = {
  group: '',
  version: 'v1',
  kind: 'Binding',
  resource: 'pods',
  namespaced: true,
};

interface Placement {
  readonly pod: Pod;
  readonly nodeName: string;
  /** Of volumes that it needs there; undefined: it has them. */
  readonly volumes: Reservation | undefined;
  /** Of devices; undefined: it has no claims of any. */
  readonly devices: ClaimReservation | undefined;
}

/** Whether it was bound; what it would have taken of the node is free again otherwise. */
async function bindPod(
  parts: Pick<Parts, 'informers' | 'client' | 'cache' | 'pending' | 'recorder' | 'logger'>,
  { pod, nodeName, volumes, devices }: Placement,
  signal: AbortSignal,
): Promise<boolean> {
  const { informers, client, cache, pending, recorder, logger } = parts;
  const { namespace = '', name = '', uid } = pod.metadata ?? {};
  const key = objectKey(pod);
  // Before the write: the next decision must count this one, and the watch may be faster than the answer.
  cache.assume({ ...pod, spec: { containers: [], ...pod.spec, nodeName } }, nodeName);
  try {
    await volumes?.bind(signal);
    await devices?.bind(signal);
    const binding: Binding = {
      metadata: { name, namespace, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
    };
    await client.create(bindings, binding, { where: { namespace, name }, subresource: 'binding' });
    pending.delete(key);
    recorder.record(
      { kind: pods, object: pod },
      'Normal',
      'Scheduled',
      `Successfully assigned ${key} to ${nodeName}`,
    );
    return true;
  } catch (error) {
    cache.forget(key);
    await devices
      ?.unbind()
      .catch((failure: unknown) =>
        logger.warn({ pod: key, error: describeError(failure) }, 'give claims back failed'),
      );
    if (isNotFound(error)) {
      pending.delete(key);
      return false;
    }
    if (!isConflict(error))
      logger.warn({ pod: key, node: nodeName, error: describeError(error) }, 'bind failed');
    const latest = informers.for(pods).get(key);
    if (latest?.metadata?.uid === uid && (latest?.spec?.nodeName ?? '') === '')
      pending.putFailed(latest ?? pod);
    return false;
  }
}

/** Neither bound nor about to be, nor gone, nor another of its name. */
function isStillWaiting({ informers, cache }: Pick<Parts, 'informers' | 'cache'>, pod: Pod): boolean {
  const key = objectKey(pod);
  const latest = informers.for(pods).get(key);
  return (
    latest !== undefined &&
    latest.metadata?.uid === pod.metadata?.uid &&
    latest.metadata?.deletionTimestamp === undefined &&
    (latest.spec?.nodeName ?? '') === '' &&
    !cache.isAssumed(key)
  );
}

/** Where a pod waits for others to go, as it says. Of one whose victims are being told it is known better. */
function noteNomination(
  { schedulerName }: Pick<Parts, 'schedulerName'>,
  preemptor: Preemptor,
  { key, current }: Change<Pod>,
): void {
  const isOurs = current !== undefined && isWaiting(current, schedulerName);
  if (!isOurs) preemptor.nominations.remove(key);
  else if (!preemptor.isBusy(key)) preemptor.nominations.take(key, current);
}

/** Says why no node does for the pod, and which node it waits for. Whom it was told already need not hear it at every try. */
async function tellRefused(
  parts: Pick<Parts, 'informers' | 'recorder' | 'client' | 'logger' | 'clock'>,
  pod: Pod,
  { message, nodeName }: { readonly message: string; readonly nodeName: string | undefined },
): Promise<void> {
  const isNew = conditionOf(pod)?.message !== message;
  if (isNew) parts.recorder.record({ kind: pods, object: pod }, 'Warning', 'FailedScheduling', message);
  if (!isNew && (pod.status?.nominatedNodeName ?? '') === (nodeName ?? '')) return;
  await setCondition(parts, pod, { reason: 'Unschedulable', message }, nodeName);
}

function noteGated(parts: Pick<Parts, 'informers' | 'client' | 'logger' | 'clock'>, pod: Pod): Promise<void> {
  const message = 'Scheduling is blocked due to non-empty scheduling gates';
  return setCondition(parts, pod, { reason: 'SchedulingGated', message });
}

/** PodScheduled=False on the pod, unless it says so already. */
async function setCondition(
  { informers, client, logger, clock }: Pick<Parts, 'informers' | 'client' | 'logger' | 'clock'>,
  pod: Pod,
  why: { readonly reason: string; readonly message: string },
  nominatedNodeName?: string,
): Promise<void> {
  const { namespace = '', name = '', uid } = pod.metadata ?? {};
  const before = conditionOf(pod);
  const isSaid = before?.status === 'False' && before.reason === why.reason && before.message === why.message;
  const isNominated = (pod.status?.nominatedNodeName ?? '') === (nominatedNodeName ?? '');
  if (isSaid && isNominated) return;
  const lastTransitionTime = before?.status === 'False' ? before.lastTransitionTime : formatTime(clock.now());
  const conditions = [{ type: 'PodScheduled', status: 'False', lastTransitionTime, ...why }];
  const status = { conditions, ...(isNominated ? {} : { nominatedNodeName: nominatedNodeName ?? null }) };
  try {
    const patched = await client.patch(
      pods,
      { namespace, name },
      { kind: 'strategic', body: { metadata: { uid }, status }, subresource: 'status' },
    );
    informers.for(pods).observe(patched);
  } catch (error) {
    if (isNotFound(error) || isConflict(error)) return; // Gone, or another of its name.
    logger.warn({ pod: objectKey(pod), error: describeError(error) }, 'set PodScheduled condition failed');
  }
}

function conditionOf(pod: Pod): PodCondition | undefined {
  return pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
}
