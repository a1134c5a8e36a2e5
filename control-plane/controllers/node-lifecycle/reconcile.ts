import type { KeyOutcome } from '#base/keyed-queue.ts';
import { findCondition, isConditionTrue, withCondition } from '#api/meta/condition.ts';
import { equalJson } from '#api/wire/json.ts';
import { leases, nodes, pods } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Lease, Node, NodeCondition, Pod, Taint } from '#api/generated/objects.ts';
import { isPodReady, isTerminating } from '#api/pod/state.ts';
import { observedCondition } from '#api/pod/observed-condition.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import type { Informer } from '#client/client.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import { ownKey, runController, source, type Controller, type Source } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import {
  countingLeftMs,
  graceOf,
  isOwnEviction,
  keepDue,
  planEviction,
  planOlderLabels,
  planTaints,
  silenceMs,
  silentConditions,
  startsEvicting,
  withoutOwnEviction,
  type PlannedEnd,
} from './plan.ts';
import {
  planZones,
  ZoneCounts,
  ZonePace,
  zoneDefaults,
  zoneKey,
  type Zones,
  type ZoneSettings,
  type ZoneState,
} from './zones.ts';

const leaseNamespace = 'kube-node-lease';
const byNode = ({ spec }: Pod): readonly string[] => [spec?.nodeName ?? ''];

/** The last sign of life of a node, by our clock: the node's own may be wrong. */
interface Heartbeat {
  readonly sign: string;
  readonly atMs: number; // monotonic
}

/** How soon a node is looked at again while nobody at all is heard. */
const nobodyHeardMs = 1_000;

/** Counts nodes as they change; before any other source, so that who looks because of a change sees it counted. */
function countingZones(nodeInformer: Informer<Node>, counts: ZoneCounts): Source {
  return source(nodeInformer, ({ key, current }) => {
    counts.put(key, current);
    return [];
  });
}

/** How nodes of a zone may lose their pods now. */
interface ZoneWatch {
  readonly counting: Source;
  readonly zones: () => Zones;
  readonly waitMs: (node: Node) => number;
}

function createZoneWatch(
  { clock, logger }: ControllerContext,
  nodeInformer: Informer<Node>,
  settings: ZoneSettings,
): ZoneWatch {
  const counts = new ZoneCounts();
  const pace = new ZonePace();
  const told = new Map<string, ZoneState>();
  const zones = (): Zones => {
    const now = planZones(counts, settings);
    for (const [zone, { state }] of now.zones) {
      if ((told.get(zone) ?? 'Normal') !== state)
        logger.info({ zone, state }, 'a zone of nodes is in another state');
      told.set(zone, state);
    }
    for (const zone of told.keys()) if (!now.zones.has(zone)) told.delete(zone);
    pace.forget(now.zones);
    return now;
  };
  const waitMs = (node: Node): number => {
    const key = zoneKey(node);
    const zone = zones().zones.get(key) ?? { perSecond: settings.nodeEvictionRate };
    return pace.take(key, zone, clock.monotonic());
  };
  return { counting: countingZones(nodeInformer, counts), zones, waitMs };
}

/** Marks nodes that fell silent, taints nodes by their conditions, takes their pods out of Services. */
export function runNodeLifecycle(
  context: ControllerContext,
  settings: Partial<ZoneSettings> = {},
): Controller {
  const { informers, clock, logger, presence } = context;
  const nodeInformer = informers.for(nodes);
  const leaseInformer = informers.for(leases, { namespace: leaseNamespace });
  const podInformer = informers.for(pods, { indexes: { node: byNode } });
  const heartbeats = new Map<string, Heartbeat>();
  const recorder = context.recorder('node-controller');
  const wanted = { ...zoneDefaults, ...settings };
  const watch = createZoneWatch(context, nodeInformer, wanted);

  const reconcile = async (name: string): Promise<KeyOutcome | void> => {
    const node = nodeInformer.get(name);
    if (node === undefined) {
      heartbeats.delete(name);
      return;
    }
    const beat = heartbeat(heartbeats, name, {
      sign: signOfLife(node, leaseInformer.get(`${leaseNamespace}/${name}`)),
      atMs: clock.monotonic(),
    });
    const times = { lastSignMs: beat.atMs, presentSinceMs: presence.sinceMs() };
    const silentMs = silenceMs(times, clock.monotonic());
    let latest = await withOlderLabels(context, node);
    const graceMs = graceOf(node, wanted);
    const conditions = silentMs >= graceMs ? silentConditions(latest, clock.now()) : undefined;
    if (conditions !== undefined) {
      latest = await markSilent(context, latest, conditions);
      nodeInformer.observe(latest);
      if (isConditionTrue(node.status?.conditions, 'Ready')) tellNotReady(recorder, node);
    }
    const { taints, againMs } = taintsInPace(latest, clock.now(), watch);
    if (taints !== undefined && !equalJson(taints, latest.spec?.taints ?? [])) {
      latest = await writeTaints(context, latest, taints);
      nodeInformer.observe(latest);
    }
    if (findCondition(latest.status?.conditions, 'Ready')?.status === 'Unknown') {
      await markPodsNotReady(context, recorder, podInformer.byIndex('node', name));
    }
    const silentInMs = Math.max(1000, graceMs - silentMs);
    return { kind: 'again', afterMs: Math.min(silentInMs, againMs ?? silentInMs) };
  };
  return runController({
    name: 'node-lifecycle-controller',
    clock,
    logger,
    sources: [
      watch.counting,
      tellingNodes(nodeInformer, recorder),
      source(nodeInformer, ({ key, old, current }) =>
        old !== undefined && current !== undefined && isSameToUs(old, current) ? [] : [key],
      ),
      source(leaseInformer, ({ current }) =>
        current?.metadata?.name === undefined ? [] : [current.metadata.name],
      ),
    ],
    reconcile: async (name) => {
      try {
        return await timedLook(context, () => reconcile(name));
      } catch (error) {
        if (isNotFound(error)) return undefined;
        // Where we cannot write, neither can nodes.
        if (!isConflict(error)) presence.restart();
        throw error;
      }
    },
  });
}

async function timedLook<T>({ clock, loopCounts }: ControllerContext, look: () => Promise<T>): Promise<T> {
  const startMs = clock.monotonic();
  const outcome = await look();
  const seconds = (clock.monotonic() - startMs) / 1000;
  loopCounts?.observe('node_collector_update_node_health_duration_seconds', seconds);
  return outcome;
}

/** Writes a node's taints; which begin to take its pods is counted. */
async function writeTaints(context: ControllerContext, node: Node, taints: readonly Taint[]): Promise<Node> {
  const spec = { ...node.spec, taints: taints.length === 0 ? undefined : taints };
  const written = await context.client.update(nodes, { ...node, spec });
  if (startsEvicting(node, taints)) context.loopCounts?.add('node_collector_evictions_total', zoneKey(node));
  return written;
}

/** Writes older names of labels, where they are others. */
async function withOlderLabels({ client, informers }: ControllerContext, node: Node): Promise<Node> {
  const labels = planOlderLabels(node);
  if (labels === undefined) return node;
  const { name = '', uid } = node.metadata ?? {};
  const body = { metadata: { uid, labels } };
  const labelled = await client.patch(nodes, { name }, { kind: 'strategic', body });
  informers.for(nodes).observe(labelled);
  return labelled;
}

/** Writes that a node was silent for too long. */
function markSilent(
  { client }: ControllerContext,
  node: Node,
  conditions: readonly NodeCondition[],
): Promise<Node> {
  const status = { ...node.status, conditions };
  return client.update(nodes, { ...node, status }, { subresource: 'status' });
}

/** That the controller knows of a node, or no more. */
function tellingNodes(nodeInformer: Informer<Node>, recorder: EventRecorder): Source {
  const tell = (node: Node, reason: string, [what, where]: readonly [string, string]): void => {
    const { name = '' } = node.metadata ?? {};
    const message = `Node ${name} event: ${what} Node ${name} ${where} Controller`;
    recorder.record({ kind: nodes, object: node }, 'Normal', reason, message);
  };
  return source(nodeInformer, ({ old, current }) => {
    if (old === undefined && current !== undefined) tell(current, 'RegisteredNode', ['Registered', 'in']);
    if (old !== undefined && current === undefined) tell(old, 'RemovingNode', ['Removing', 'from']);
    return [];
  });
}

function tellNotReady(recorder: EventRecorder, node: Node): void {
  const message = `Node ${node.metadata?.name ?? ''} status is now: NodeNotReady`;
  recorder.record({ kind: nodes, object: node }, 'Normal', 'NodeNotReady', message);
}

/** With taints by which pods go only when it is the node's turn in its zone; without them while nobody at all is heard. */
function taintsInPace(
  node: Node,
  nowMs: number,
  { zones, waitMs }: ZoneWatch,
): { readonly taints: readonly Taint[] | undefined; readonly againMs?: number } {
  const taints = planTaints(node, nowMs);
  const next = taints ?? node.spec?.taints ?? [];
  if (!next.some(isOwnEviction)) return { taints };
  if (zones().isNobodyHeard) return { taints: withoutOwnEviction(next), againMs: nobodyHeardMs };
  if (!startsEvicting(node, next)) return { taints };
  const againMs = countingLeftMs(node, nowMs) || waitMs(node);
  return againMs === 0 ? { taints } : { taints: withoutOwnEviction(next), againMs };
}

/** Deletes pods from nodes whose NoExecute taints they do not tolerate, or no longer. */
export function runTaintEviction(
  context: ControllerContext,
  { graceMs = zoneDefaults.graceMs }: Partial<ZoneSettings> = {},
): Controller {
  const { informers, clock, logger, presence } = context;
  const nodeInformer = informers.for(nodes);
  const podInformer = informers.for(pods, { indexes: { node: byNode } });
  const recorder = context.recorder('taint-eviction-controller');
  const counts = new ZoneCounts();
  /** How long evictions for silence wait: what says that a node is silent may be older than our own absence. */
  const holdMs = (node: Node): number => {
    if (node.spec?.taints?.some(isOwnEviction) !== true) return 0;
    if (counts.isNobodyHeard) return graceMs;
    return Math.max(0, presence.sinceMs() + graceMs - clock.monotonic());
  };
  /** Pods whose end was planned. */
  const planned = new Map<string, PlannedEnd>();
  const cancel = (key: string, pod: Pod): void => {
    if (!planned.delete(key)) return;
    const message = `Cancelling deletion of Pod ${key}`;
    recorder.record({ kind: pods, object: pod }, 'Normal', 'TaintManagerEviction', message);
  };
  return runController({
    name: 'taint-eviction-controller',
    clock,
    logger,
    sources: [
      countingZones(nodeInformer, counts),
      ownKey(podInformer),
      source(nodeInformer, ({ key, old, current }) =>
        equalJson(old?.spec?.taints, current?.spec?.taints)
          ? []
          : podInformer.byIndex('node', key).map(objectKey),
      ),
    ],
    reconcile: async (key) => {
      const pod = podInformer.get(key);
      const node = nodeInformer.get(pod?.spec?.nodeName ?? '');
      if (pod === undefined || node === undefined || isTerminating(pod)) return void planned.delete(key);
      const { uid } = pod.metadata ?? {};
      const nowMs = clock.now();
      const before = planned.get(key);
      const known = before?.uid === uid ? before : undefined;
      const seenMs = known?.sinceMs ?? nowMs;
      const asked = planEviction(pod, node, { seenMs, nowMs });
      const plan = keepDue(asked, known, nowMs);
      if (plan.kind === 'stay') return cancel(key, pod);
      const dueMs =
        plan.kind === 'evictLater' ? nowMs + plan.afterMs : Math.min(nowMs, known?.dueMs ?? nowMs);
      planned.set(key, { uid, sinceMs: seenMs, dueMs, isTimed: asked.kind === 'evictLater' });
      if (plan.kind === 'evictLater') return { kind: 'again', afterMs: plan.afterMs };
      const waitMs = holdMs(node);
      if (waitMs > 0) return { kind: 'again', afterMs: waitMs };
      recorder.record(
        { kind: pods, object: pod },
        'Normal',
        'TaintManagerEviction',
        `Marking for deletion Pod ${key}`,
      );
      if (await evict(context, pod)) noteEviction(context, dueMs);
      return undefined;
    },
  });
}

function noteEviction({ loopCounts, clock }: ControllerContext, dueMs: number): void {
  loopCounts?.add('taint_eviction_controller_pod_deletions_total');
  const seconds = Math.max(0, clock.now() - dueMs) / 1000;
  loopCounts?.observe('taint_eviction_controller_pod_deletion_duration_seconds', seconds);
}

/** Says why the pod goes, and deletes it. Whether it was there. */
async function evict(context: ControllerContext, pod: Pod): Promise<boolean> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  await patchConditions(context, pod, {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByTaintManager',
    message: 'Taint manager: deleting due to NoExecute taint',
  });
  try {
    await context.client.delete(pods, { namespace, name }, { preconditions: { uid } });
    return true;
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
    return false;
  }
}

/**
 * What a node does when it lives: it renews its lease, and writes whether it is ready. Other conditions are of others, who may live on
 * without its kubelet. Our own marks keep the heartbeat times.
 */
function signOfLife({ metadata, status }: Node, lease: Lease | undefined): string {
  const ready = findCondition(status?.conditions, 'Ready');
  const said = ready === undefined ? 'nothing' : (ready.lastHeartbeatTime ?? '');
  return `${metadata?.uid} ${lease?.spec?.renewTime ?? ''} ${said}`;
}

function heartbeat(known: Map<string, Heartbeat>, name: string, seen: Heartbeat): Heartbeat {
  const before = known.get(name);
  if (before !== undefined && before.sign === seen.sign) return before;
  known.set(name, seen);
  return seen;
}

function isSameToUs(old: Node, current: Node): boolean {
  const relevant = ({ metadata, spec, status }: Node): unknown => [
    spec?.taints,
    spec?.unschedulable,
    status?.conditions,
    metadata?.labels,
  ];
  return equalJson(relevant(old), relevant(current));
}

/** Nobody knows of these pods: Services must not send to them. */
async function markPodsNotReady(
  context: ControllerContext,
  recorder: EventRecorder,
  onNode: readonly Pod[],
): Promise<void> {
  for (const pod of onNode.filter(isPodReady)) {
    // Why it is so it said last stays (MarkPodsNotReady).
    await patchConditions(context, pod, { type: 'Ready', status: 'False' });
    recorder.record({ kind: pods, object: pod }, 'Warning', 'NodeNotReady', 'Node is not ready');
  }
}

async function patchConditions(
  { client, informers, clock }: ControllerContext,
  pod: Pod,
  condition: {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
  },
): Promise<void> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  const said = observedCondition(pod, condition);
  const set = findCondition(withCondition(pod.status?.conditions, said, clock.now()), condition.type);
  try {
    const body = { metadata: { uid }, status: { conditions: [set] } };
    const patched = await client.patch(
      pods,
      { namespace, name },
      { kind: 'strategic', body, subresource: 'status' },
    );
    informers.for(pods).observe(patched);
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
