import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { nextTurn, TurnTime } from '#base/time-slice.ts';
import type { Logger } from '#base/log.ts';
import { namespaces, nodes, podGroups, pods, services } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Namespace, Pod, PodGroup, Service } from '#api/generated/objects.ts';

import type { ApiClient, Informer } from '#client/client.ts';
import type { Informers } from '#client/informers.ts';
import { bindPod, type Placement } from './bind-pod.ts';
import { createClusterCache } from './cluster-cache.ts';
import { isNewNode, namespaceEvent, nodeEvent, type ClusterEvent } from './cluster-event.ts';
import { schedulerSettings, type SchedulerSettings } from './config/scheduler-configuration.ts';
import { decide, type Decision } from './decide.ts';
import { createDeviceBinder, type DeviceBinder } from './devices/device-binder.ts';
import { followDevices, followVolumes } from './follow-volumes.ts';
import { tryGang, type GangPorts, type Held } from './gang/gang-cycle.ts';
import { PodGroups } from './gang/pod-groups.ts';
import { onNode } from './gang/trial-cluster.ts';
import { eventLabelOf } from './metrics/event-labels.ts';
import { schedulerFacts } from './metrics/scheduler-facts.ts';
import { SchedulerMetrics } from './metrics/scheduler-metrics.ts';
import { watchDecisions, type Watch } from './metrics/watch-decisions.ts';
import { createPendingPods } from './pending-pods.ts';
import { decideWith } from './outside/decide-with.ts';
import { createExtender } from './outside/extender.ts';
import type { Outsider } from './outside/outsider.ts';
import { createPluginHost } from './outside/plugin-host.ts';
import type { MetricPoint, Profile, SchedulingContext } from './plugin.ts';
import { isGated, isWaiting, takePodChange } from './pod-changes.ts';
import { createProfile, defaultProfile } from './profile.ts';
import { createRecorders, type Recorders } from './recorders.ts';
import { isStillWaiting, schedulerNameOf, type Parts } from './scheduler-parts.ts';
import { noteGated, noteHeld, tellRefused } from './tell-pod.ts';
import { noteNomination } from './preempt/note-nomination.ts';
import { Preemptor, type Preempted } from './preempt/preemptor.ts';
import { dynamicResourcesFilter } from './plugins/dynamic-resources.ts';
import type { Snapshot } from './snapshot.ts';
import { createTemplateMemories } from './template-memory.ts';
import { createVolumeBinder, type VolumeBinder } from './volumes/bind-volumes.ts';

export interface SchedulerOptions {
  /** Read for it by somebody who may, who shares them with the controllers. */
  readonly informers: Informers;
  /** As whom it binds pods and says why others wait. */
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What KubeSchedulerConfiguration says; undefined: what is so without one. */
  readonly settings?: SchedulerSettings | undefined;
  /** Modules of `--scheduler-plugins`. */
  readonly pluginFiles?: readonly string[] | undefined;
  /** Where it counts what it does. */
  readonly metrics?: SchedulerMetrics | undefined;
  /** Whether PodGroups are served, and DeviceTaintRules; without, no pod is of one, and no device tainted by one. */
  readonly hasPodGroups?: boolean | undefined;
  readonly hasTaintRules?: boolean | undefined;
}

/** Of all schedulers of the process: 10,000 pods at once do not stop the server. */
const decidingTime = new TurnTime();
/** Of those that come while a pod is asked about: of more, one is thought to help. */
const eventsMax = 1000;

/** Binds each pod that waits for a node as soon as its informer tells of it. Runs until disposed. */
export function startScheduler(options: SchedulerOptions): AsyncDisposable {
  return new Scheduler(options);
}

class Scheduler implements AsyncDisposable {
  readonly #parts: Parts;
  readonly #services: Informer<Service>;
  readonly #namespaces: Informer<Namespace>;
  readonly #groupInformer: Informer<PodGroup> | undefined;
  readonly #volumes: VolumeBinder;
  readonly #devices: DeviceBinder;
  readonly #preemptor: Preemptor;
  readonly #recorders: Recorders;
  readonly #outsiders: readonly Outsider[];
  /** While somebody outside is asked about a pod: when that ends, and what happened meanwhile. */
  #asking: { readonly ended: Promise<void>; readonly events: ClusterEvent[] } | undefined;
  readonly #abort = new AbortController();
  readonly #binding = new Set<Promise<void>>();
  readonly #attached = new DisposableStack();
  readonly #namespaceLabels: Snapshot['namespaceLabels'] = (namespace) =>
    this.#namespaces.get(namespace)?.metadata?.labels ?? {};
  /** Where the next pod begins to look. */
  #nextNode = 0;
  /** Events that came while outsiders were asked about the pod that was tried last. */
  #missed: ClusterEvent[] = [];
  #namespaceVersion = 0;
  readonly #memories = createTemplateMemories();
  readonly #watch: Watch;
  #isRunning = false;
  #isClosed = false;

  constructor(options: SchedulerOptions) {
    const { informers, client, clock, logger, settings = schedulerSettings({}), pluginFiles = [] } = options;
    const { metrics = new SchedulerMetrics() } = options;
    metrics.facts = schedulerFacts(() => this.#parts);
    const recorders = createRecorders({ client, clock, logger });
    this.#recorders = recorders;
    this.#outsiders = [
      ...(pluginFiles.length === 0 ? [] : [createPluginHost(pluginFiles, clock)]),
      ...settings.extenders.map((spec) => createExtender(spec, clock)),
    ];
    const groupInformer = options.hasPodGroups === true ? informers.for(podGroups) : undefined;
    const groups = new PodGroups((key) => groupInformer?.get(key));
    const pending = createPendingPods(clock, () => this.#start(), {
      ...settings,
      onQueued: (queue, event) => metrics.queued(queue, event),
    });
    const cache = createClusterCache();
    const profiles = profilesOf(settings);
    this.#parts = {
      ...{ informers, client, cache, pending, recorderFor: recorders.of, logger, clock, profiles },
      ...{ groups, metrics, begun: new Map() },
    };
    this.#services = informers.for(services, {
      indexes: { namespace: (service) => [service.metadata?.namespace ?? ''] },
    });
    this.#namespaces = informers.for(namespaces);
    this.#volumes = createVolumeBinder({ informers, client, clock, usedOn: cache.claimUsedOn });
    this.#devices = createDeviceBinder(options);
    this.#preemptor = new Preemptor({
      ...{ informers, client, recorderFor: recorders.of, logger, clock, node: cache.node, profiles },
      snapshot: () => this.#snapshot(),
      groupOf: (key) => groups.get(key),
      metrics,
      isWaiting: (pod) => isStillWaiting(this.#parts, pod),
      outsiders: this.#outsiders,
      onFreed: (pod) => this.#wake([{ kind: 'podGone', pod }]),
    });
    this.#watch = watchDecisions(metrics, clock);
    const { claims, volumes, classes, drivers, csiNodes, capacities, attachments } = this.#volumes;
    const caches = [
      ...[informers.for(pods), informers.for(nodes), this.#services, this.#namespaces],
      ...[claims, volumes, classes, drivers, csiNodes, capacities, attachments],
      ...[this.#devices.claims, this.#devices.slices, this.#devices.classes],
      this.#preemptor.budgets,
      ...(groupInformer === undefined ? [] : [groupInformer]),
    ];
    this.#groupInformer = groupInformer;
    void Promise.all(caches.map(({ synced }) => synced)).then(() => this.#attach());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#parts.metrics.facts = undefined;
    this.#abort.abort(new DOMException('scheduler stopped', 'AbortError'));
    this.#attached.dispose();
    this.#parts.pending[Symbol.dispose]();
    await Promise.allSettled(this.#binding);
    for (const outsider of this.#outsiders) outsider[Symbol.dispose]();
    await this.#recorders[Symbol.asyncDispose]();
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
        const grown = this.#parts.groups.take(change, (pod) => isWaiting(pod, this.#parts.profiles));
        this.#wake(takePodChange(this.#parts, change));
        const { key, current } = change;
        if (grown !== undefined) this.#noteGroup(grown, { kind: 'podOfGroup', key: grown });
        noteNomination(this.#parts, this.#preemptor, change);
        if (current === undefined) this.#parts.begun.delete(key);
        this.#volumes.note('pod', key);
        if (current !== undefined && this.#isHeldByGates(current)) void noteGated(this.#parts, current);
      }),
    );
    this.#attached.use(
      this.#namespaces.onChange(({ key, old, current }) => {
        this.#namespaceVersion++;
        this.#wake(namespaceEvent(key, old, current));
      }),
    );
    const wake = (events: readonly ClusterEvent[]): void => this.#wake(events);
    this.#attached.use(followVolumes(this.#volumes, wake));
    this.#attached.use(followDevices(this.#devices, wake));
    if (this.#groupInformer !== undefined)
      this.#attached.use(
        this.#groupInformer.onChange(({ key }) => this.#noteGroup(key, { kind: 'podGroup', key })),
      );
  }

  /** Pods that waited for their group may be tried; those that still do are told for what. */
  #noteGroup(key: string, event: ClusterEvent): void {
    const { groups, informers, pending } = this.#parts;
    const { free, held, why } = groups.release(key);
    const podsOf = (keys: readonly string[]): readonly Pod[] =>
      keys.flatMap((one) => informers.for(pods).get(one) ?? []);
    for (const pod of podsOf(free)) pending.put(pod);
    for (const pod of podsOf(held)) void noteHeld(this.#parts, pod, why);
    this.#wake([event]);
  }

  /** Tries again the pods that one of the events may help. A pod that no plugin refused had no nodes to be refused by. */
  #wake(events: readonly ClusterEvent[]): void {
    if (this.#asking !== undefined && this.#asking.events.length < eventsMax)
      this.#asking.events.push(...events);
    for (const event of events)
      this.#parts.pending.wakeUnschedulable(
        (pod, refusedBy) =>
          (refusedBy.size === 0 ? isNewNode(event) : this.#mayHelp(pod, refusedBy, event)) &&
          !this.#preemptor.putsOff(objectKey(pod)),
        eventLabelOf(event),
      );
  }

  /** Whom somebody outside of the plugins refused, anything may help. */
  #mayHelp(pod: Pod, refusedBy: ReadonlySet<string>, event: ClusterEvent): boolean {
    // It does not wait for itself to give up its nomination.
    if (event.kind === 'podGone' && event.pod.metadata?.uid === pod.metadata?.uid) return false;
    const hints = this.#profileOf(pod).hints;
    for (const name of refusedBy) {
      const hint = hints.get(name);
      if (hint === undefined || hint.mayHelp(pod, event, this.#namespaceLabels)) return true;
    }
    return false;
  }

  #profileOf(pod: Pod): Profile {
    return this.#parts.profiles.get(schedulerNameOf(pod)) ?? defaultProfile;
  }

  #isHeldByGates(pod: Pod): boolean {
    return isGated(pod) && this.#parts.profiles.get(schedulerNameOf(pod))?.hasGates === true;
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
      await this.#asking?.ended;
      while (!decidingTime.isLeft()) await nextTurn();
    }
    this.#isRunning = false;
  }

  #schedule(pod: Pod): void {
    const { logger } = this.#parts;
    const work = this.#tryOne(pod).catch((error: unknown) => {
      // A pod that breaks a plugin must not stop the others.
      logger.error({ pod: objectKey(pod), error: describeError(error) }, 'schedule failed');
      return this.#fail(pod, describeError(error));
    });
    this.#binding.add(work);
    void work.finally(() => this.#binding.delete(work));
  }

  /** It is tried again after its back-off, and told why. */
  async #fail(pod: Pod, message: string): Promise<void> {
    if (!isStillWaiting(this.#parts, pod)) return;
    this.#parts.pending.putFailed(this.#parts.informers.for(pods).get(objectKey(pod)) ?? pod);
    const nodeName = this.#preemptor.nominations.nodeOf(objectKey(pod));
    await tellRefused(this.#parts, pod, { reason: 'SchedulerError', message, nodeName });
  }

  /** Decides, and counts the pod on its node, before it returns, or once outsiders have answered; the writes follow. */
  async #tryOne(pod: Pod): Promise<void> {
    const key = objectKey(pod);
    if (this.#preemptor.putsOff(key)) return this.#parts.pending.putUnschedulable(pod, new Set());
    if (this.#devices.isAwaiting(pod)) {
      this.#parts.pending.putUnschedulable(pod, new Set([dynamicResourcesFilter.name]));
      return;
    }
    const gang = this.#parts.groups.gangOf(pod);
    if (gang !== undefined) {
      await this.#tryGang(pod, gang);
      return;
    }
    this.#missed = [];
    const deciding = this.#decide(pod);
    const decision = deciding instanceof Promise ? await deciding : deciding;
    if (deciding instanceof Promise && !isStillWaiting(this.#parts, pod)) return;
    if (decision.kind === 'node') await this.#bind(pod, decision.nodeName);
    else {
      await this.#refuse(pod, decision);
      if (this.#profileOf(pod).releasesClaims && decision.refusedBy.has(dynamicResourcesFilter.name))
        await this.#devices.release(pod);
    }
  }

  /** At once, or once outsiders have answered. */
  #decide(pod: Pod): Decision | Promise<Decision> {
    this.#parts.begun.set(objectKey(pod), this.#parts.clock.monotonic());
    const profile = this.#profileOf(pod);
    const snapshot = this.#snapshot();
    const memory = this.#memories.for(pod, profile.schedulerName, snapshot.devices);
    const context = this.#watch({ pod, snapshot, profile, memory });
    const outsiders = this.#outsiders.filter((one) => one.isInterestedIn(pod));
    return outsiders.length === 0
      ? this.#looked(context, decide(context, this.#nextNode))
      : this.#askOutsiders(context, outsiders);
  }

  /** The next pod begins where this one ended, so that each node has its turn. */
  #looked({ pod, snapshot }: SchedulingContext, decision: Decision): Decision {
    const { metrics, clock, begun } = this.#parts;
    const now = clock.monotonic();
    metrics.decided((now - (begun.get(objectKey(pod)) ?? now)) / 1000);
    this.#nextNode = (this.#nextNode + decision.examined) % Math.max(1, snapshot.nodes.length);
    return decision;
  }

  async #refuse(pod: Pod, decision: Extract<Decision, { kind: 'unschedulable' }>): Promise<void> {
    this.#parts.pending.putUnschedulable(pod, decision.refusedBy);
    this.#wakeIfMissed(pod, decision.refusedBy);
    const sinceMs = this.#parts.clock.monotonic();
    const planned = this.#preemptor.plan(pod, decision);
    if (!(planned instanceof Promise)) {
      await this.#tell(pod, planned);
      return;
    }
    const isMissed = await this.#preemptor.during([pod], async () => {
      const preempted = await planned;
      this.#ran('PostFilter', pod, { isDone: preempted.plan !== undefined, sinceMs });
      await this.#tell(pod, preempted);
    });
    if (isMissed)
      this.#parts.pending.wakeUnschedulable(({ metadata }) => metadata?.uid === pod.metadata?.uid);
  }

  #ran(
    point: MetricPoint,
    pod: Pod,
    { isDone, sinceMs }: { readonly isDone: boolean; readonly sinceMs: number },
  ): void {
    const { metrics, clock } = this.#parts;
    const status = isDone ? 'Success' : 'Unschedulable';
    const seconds = (clock.monotonic() - sinceMs) / 1000;
    metrics.ran({ point, profile: schedulerNameOf(pod), status }, seconds);
  }

  #askOutsiders(context: SchedulingContext, outsiders: readonly Outsider[]): Promise<Decision> {
    const { logger } = this.#parts;
    const onError = ({ name }: Outsider, error: unknown): void =>
      logger.warn({ extender: name, error: describeError(error) }, 'an extender is done without');
    return this.#alone(async () =>
      this.#looked(context, await decideWith(context, this.#nextNode, { outsiders, onError })),
    );
  }

  /** No other pod is decided meanwhile, and what happens is kept. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#asking !== undefined) return await work();
    const ended = Promise.withResolvers<void>();
    this.#asking = { ended: ended.promise, events: [] };
    try {
      return await work();
    } finally {
      this.#missed = this.#asking.events;
      this.#asking = undefined;
      ended.resolve();
    }
  }

  #tryGang(pod: Pod, group: PodGroup): Promise<void> {
    const { pending } = this.#parts;
    const wakeAll = (woken: readonly Pod[]): void => {
      const uids = new Set(woken.map(({ metadata }) => metadata?.uid));
      pending.wakeUnschedulable(({ metadata }) => uids.has(metadata?.uid));
    };
    const ports: GangPorts = {
      parts: this.#parts,
      preemptor: this.#preemptor,
      decide: (one) => this.#decide(one),
      hold: (one, nodeName) => this.#hold(one, nodeName),
      bind: (one, nodeName, held) => this.#bindHeld(one, nodeName, held),
      alone: (work) => this.#alone(work),
      wakeIfMissed: (waiting) => {
        const missed = this.#missed.splice(0);
        const isHelped = waiting.some(([one, refusedBy]) => this.#isHelped(one, refusedBy, missed));
        if (isHelped) wakeAll(waiting.map(([one]) => one));
      },
      wakeAll,
    };
    return tryGang(ports, pod, group);
  }

  /** What happened while outsiders were asked may have helped the pod, which was not among those that wait. */
  #wakeIfMissed(pod: Pod, refusedBy: ReadonlySet<string>): void {
    const missed = this.#missed.splice(0);
    if (this.#isHelped(pod, refusedBy, missed))
      this.#parts.pending.wakeUnschedulable((one) => one.metadata?.uid === pod.metadata?.uid);
  }

  #isHelped(pod: Pod, refusedBy: ReadonlySet<string>, events: readonly ClusterEvent[]): boolean {
    return events.length >= eventsMax || events.some((event) => this.#mayHelp(pod, refusedBy, event));
  }

  async #tell(pod: Pod, { message, plan }: Preempted): Promise<void> {
    const { nominations } = this.#preemptor;
    if (!isStillWaiting(this.#parts, pod)) {
      nominations.remove(objectKey(pod));
      return;
    }
    await tellRefused(this.#parts, pod, {
      reason: 'Unschedulable',
      message,
      nodeName: nominations.nodeOf(objectKey(pod)),
    });
    if (plan !== undefined) await this.#preemptor.evict(pod, plan);
  }

  async #bind(pod: Pod, nodeName: string): Promise<void> {
    await this.#bindHeld(pod, nodeName, this.#hold(pod, nodeName));
  }

  /** Counts the pod on the node, with volumes and devices. */
  #hold(pod: Pod, nodeName: string): Held {
    const sinceMs = this.#parts.clock.monotonic();
    const node = this.#parts.cache.node(nodeName)?.node;
    using undo = new DisposableStack();

    const volumes = this.#volumes.reserve(pod, nodeName);
    if (volumes !== undefined) undo.use(volumes);
    const devices = node === undefined ? undefined : this.#devices.reserve(pod, node);
    if (devices !== undefined) undo.use(devices);
    this.#parts.cache.assume(onNode(pod, nodeName), nodeName);
    const owned = undo.move();
    this.#ran('Reserve', pod, { isDone: true, sinceMs });
    return { volumes, devices, [Symbol.dispose]: () => owned.dispose() };
  }

  async #bindHeld(pod: Pod, nodeName: string, held: Held): Promise<void> {
    using _held = held;
    const { volumes, devices } = held;

    const isBound = await bindPod(
      this.#parts,
      { pod, nodeName, volumes, devices, profile: this.#profileOf(pod), bindBy: this.#binderFor(pod) },
      this.#abort.signal,
    );
    if (!isBound) this.#wake([{ kind: 'podGone', pod }]);
  }

  /** The extender that binds it; one that is ignorable and does not answer is done without. */
  #binderFor(pod: Pod): Placement['bindBy'] {
    const binder = this.#outsiders.find((one) => one.bind !== undefined && one.isInterestedIn(pod));
    if (binder?.bind === undefined) return undefined;
    const { bind, isIgnorable } = binder;
    return async (binding, byDefault) => {
      try {
        await bind(binding);
      } catch (error) {
        if (!isIgnorable) throw error;
        await byDefault();
      }
    };
  }

  #snapshot(): Snapshot {
    const { cache } = this.#parts;
    return {
      nodes: cache.nodes(),
      nodeNamed: cache.node,
      get antiAffineNodes() {
        return cache.antiAffineNodes();
      },
      get affineNodes() {
        return cache.affineNodes();
      },
      ...cache.affineCounts(),
      nodesWithImage: cache.nodesWithImage,
      nodesBelow: cache.nodesBelow,
      volumes: this.#volumes.look,
      devices: this.#devices.look,
      nominated: (nodeName) => this.#preemptor.nominations.on(nodeName),
      services: (namespace) => this.#services.byIndex('namespace', namespace),
      namespaceLabels: this.#namespaceLabels,
      namespaceVersion: this.#namespaceVersion,
    };
  }
}

function profilesOf({ profiles, extenders }: SchedulerSettings): ReadonlyMap<string, Profile> {
  const ignored = new Set(extenders.flatMap(({ ignoredResources }) => [...ignoredResources]));
  return new Map(profiles.map((profile) => [profile.schedulerName, createProfile(profile, ignored)]));
}
