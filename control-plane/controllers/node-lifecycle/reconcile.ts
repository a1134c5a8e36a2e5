import type { KeyOutcome } from '#base/keyed-queue.ts';
import { withCondition, findCondition } from '#api/meta/condition.ts';
import { equalJson } from '#api/wire/json.ts';
import { leases, nodes, pods } from '#api/schema/kind-ref.ts';
import { objectKey } from '#api/meta/object.ts';
import type { Lease, Node, Pod } from '#api/generated/objects.ts';
import { isPodReady, isTerminal, isTerminating } from '#api/pod/state.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, source, type Controller } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import {
  gracePeriodMs,
  isNobodyHeard,
  isOwnEviction,
  planEviction,
  planTaints,
  silenceMs,
  silentConditions,
} from './plan.ts';

const leaseNamespace = 'kube-node-lease';
const byNode = ({ spec }: Pod): readonly string[] => [spec?.nodeName ?? ''];

/** The last sign of life of a node, by our clock: the node's own may be wrong. */
interface Heartbeat {
  readonly sign: string;
  readonly atMs: number; // monotonic
}

/** Marks nodes that fell silent, taints nodes by their conditions, takes their pods out of Services. */
export function runNodeLifecycle(context: ControllerContext): Controller {
  const { informers, clock, logger, presence } = context;
  const nodeInformer = informers.for(nodes);
  const leaseInformer = informers.for(leases, { namespace: leaseNamespace });
  const podInformer = informers.for(pods, { indexes: { node: byNode } });
  const heartbeats = new Map<string, Heartbeat>();
  const recorder = context.recorder('node-controller');

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
    let latest = node;
    const conditions = silentMs >= gracePeriodMs ? silentConditions(node, clock.now()) : undefined;
    if (conditions !== undefined) {
      latest = await context.client.update(
        nodes,
        { ...node, status: { ...node.status, conditions } },
        { subresource: 'status' },
      );
      nodeInformer.observe(latest);
      const message = `Node ${name} status is now: NodeNotReady`;
      recorder.record({ kind: nodes, object: node }, 'Normal', 'NodeNotReady', message);
    }
    const taints = planTaints(latest, clock.now());
    if (taints !== undefined) {
      const spec = { ...latest.spec, taints: taints.length === 0 ? undefined : taints };
      latest = await context.client.update(nodes, { ...latest, spec });
      nodeInformer.observe(latest);
    }
    if (findCondition(latest.status?.conditions, 'Ready')?.status === 'Unknown') {
      await markPodsNotReady(context, podInformer, name);
    }
    return { kind: 'again', afterMs: Math.max(1000, gracePeriodMs - silentMs) };
  };
  return runController({
    name: 'node-lifecycle-controller',
    clock,
    logger,
    sources: [
      source(nodeInformer, ({ key, old, current }) =>
        old !== undefined && current !== undefined && isSameToUs(old, current) ? [] : [key],
      ),
      source(leaseInformer, ({ current }) =>
        current?.metadata?.name === undefined ? [] : [current.metadata.name],
      ),
    ],
    reconcile: async (name) => {
      try {
        return await reconcile(name);
      } catch (error) {
        if (isNotFound(error)) return undefined;
        // Where we cannot write, neither can nodes.
        if (!isConflict(error)) presence.restart();
        throw error;
      }
    },
  });
}

/** Deletes pods from nodes whose NoExecute taints they do not tolerate, or no longer. */
export function runTaintEviction(context: ControllerContext): Controller {
  const { informers, clock, logger, client, presence } = context;
  const nodeInformer = informers.for(nodes);
  const podInformer = informers.for(pods, { indexes: { node: byNode } });
  const recorder = context.recorder('taint-eviction-controller');
  /** How long evictions for silence wait: what says that a node is silent may be older than our own absence. */
  const holdMs = (node: Node): number => {
    if (node.spec?.taints?.some(isOwnEviction) !== true) return 0;
    if (isNobodyHeard(nodeInformer.list())) return gracePeriodMs;
    return Math.max(0, presence.sinceMs() + gracePeriodMs - clock.monotonic());
  };
  return runController({
    name: 'taint-eviction-controller',
    clock,
    logger,
    sources: [
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
      if (pod === undefined || node === undefined || isTerminating(pod) || isTerminal(pod)) return undefined;
      const plan = planEviction(pod, node, clock.now());
      if (plan.kind === 'stay') return undefined;
      if (plan.kind === 'evictLater') return { kind: 'again', afterMs: plan.afterMs };
      const waitMs = holdMs(node);
      if (waitMs > 0) return { kind: 'again', afterMs: waitMs };
      recorder.record(
        { kind: pods, object: pod },
        'Normal',
        'TaintManagerEviction',
        `Marking for deletion Pod ${key}`,
      );
      const { namespace, name = '', uid } = pod.metadata ?? {};
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByTaintManager',
        message: 'Taint manager: deleting due to NoExecute taint',
      };
      await patchConditions(context, pod, condition);
      try {
        await client.delete(pods, { namespace, name }, { preconditions: { uid } });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      }
      return undefined;
    },
  });
}

/** What a node does when it lives: it renews its lease, and writes its status. Our own marks keep the heartbeat times. */
function signOfLife(node: Node, lease: Lease | undefined): string {
  const times = (node.status?.conditions ?? []).map(({ lastHeartbeatTime = '' }) => lastHeartbeatTime);
  const [latest = ''] = [node.metadata?.creationTimestamp ?? '', ...times].toSorted().slice(-1);
  return `${lease?.spec?.renewTime ?? ''} ${latest}`;
}

function heartbeat(known: Map<string, Heartbeat>, name: string, seen: Heartbeat): Heartbeat {
  const before = known.get(name);
  if (before !== undefined && before.sign === seen.sign) return before;
  known.set(name, seen);
  return seen;
}

function isSameToUs(old: Node, current: Node): boolean {
  const relevant = ({ spec, status }: Node): unknown => [
    spec?.taints,
    spec?.unschedulable,
    status?.conditions,
  ];
  return equalJson(relevant(old), relevant(current));
}

/** Nobody knows of these pods: Services must not send to them. */
async function markPodsNotReady(
  context: ControllerContext,
  podInformer: WritableInformer<Pod>,
  nodeName: string,
): Promise<void> {
  for (const pod of podInformer.byIndex('node', nodeName).filter(isPodReady)) {
    await patchConditions(context, pod, { type: 'Ready', status: 'False', reason: 'NodeNotReady' });
  }
}

async function patchConditions(
  { client, informers, clock }: ControllerContext,
  pod: Pod,
  condition: {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message?: string;
  },
): Promise<void> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  const set = findCondition(withCondition(pod.status?.conditions, condition, clock.now()), condition.type);
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
