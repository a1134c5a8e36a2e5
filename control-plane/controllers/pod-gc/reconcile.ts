import { nodes, pods } from '#api/schema/kind-ref.ts';
import type { Node, Pod } from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { outOfServiceTaint } from '#api/volume/attachment.ts';
import { isTerminal } from '#api/pod/state.ts';
import { formatTime } from '#api/meta/time.ts';
import { observedCondition } from '#api/pod/observed-condition.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { onlySynced, runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { finishedMax, planPodGc } from './plan.ts';

const intervalMs = 20_000;
/** A node may be registered anew soon after it was deleted; its pods then live on. */
const quarantineMs = 40_000;
const everything = 'all';

/**
 * Removes pods that nobody else will remove.
 * @param finishedLimit `--terminated-pod-gc-threshold`: of those that ended so many stay; 0: all do
 */
export function runPodGc(context: ControllerContext, finishedLimit: number = finishedMax): Controller {
  const { informers, clock, logger, client } = context;
  const podInformer = informers.for(pods);
  const nodeInformer = informers.for(nodes);
  const goneSince = new Map<string, number>(); // by node: monotonic
  const controller = runController({
    name: 'pod-garbage-collector',
    clock,
    logger,
    concurrencyMax: 1,
    sources: [
      source(nodeInformer, ({ current }) => (current === undefined || isOff(current) ? [everything] : [])),
      onlySynced(podInformer),
    ],
    reconcile: async () => {
      const nowMs = clock.monotonic();
      const all = podInformer.list();
      const used = new Set(all.map(({ spec }) => spec?.nodeName ?? ''));
      for (const name of goneSince.keys()) {
        if (!used.has(name) || nodeInformer.get(name) !== undefined) goneSince.delete(name);
      }
      for (const name of used) {
        if (name !== '' && nodeInformer.get(name) === undefined && !goneSince.has(name))
          goneSince.set(name, nowMs);
      }
      const gone = new Set<string>();
      for (const [name, sinceMs] of goneSince) {
        // A node that came back while we were away has had no time to say so.
        const watchedMs = nowMs - Math.max(sinceMs, context.presence.sinceMs());
        if (watchedMs >= quarantineMs && (await isGone(name))) gone.add(name);
      }
      const states = {
        isGone: (name: string) => gone.has(name),
        isOff: (name: string) => isOff(nodeInformer.get(name)),
      };
      const plan = planPodGc(all, states, finishedLimit > 0 ? finishedLimit : Infinity);
      for (const pod of plan.orphaned) await markFailed(context, pod, nodeGone);
      const others = [...plan.unscheduled, ...plan.stranded];
      for (const pod of others) await markFailed(context, pod, undefined);
      for (const pod of [...plan.orphaned, ...others, ...plan.finished]) await remove(context, pod);
      return { kind: 'again', afterMs: intervalMs };
    },
  });
  const isGone = async (name: string): Promise<boolean> => {
    try {
      await client.get(nodes, { name });
      return false;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  };
  controller.enqueueAfter(everything, intervalMs);
  return controller;
}

function isOff(node: Node | undefined): boolean {
  if (node === undefined || findCondition(node.status?.conditions, 'Ready')?.status === 'True') return false;
  return node.spec?.taints?.some(({ key }) => key === outOfServiceTaint) === true;
}

const nodeGone = {
  type: 'DisruptionTarget',
  status: 'True',
  reason: 'DeletionByPodGC',
  message: 'PodGC: node no longer exists',
};

/** So that its controller counts it as failed rather than as lost: a Job keeps it by a finalizer until then. */
async function markFailed(
  { client, clock }: ControllerContext,
  pod: Pod,
  condition: typeof nodeGone | undefined,
): Promise<void> {
  if (isTerminal(pod)) return;
  const { namespace, name = '', uid, generation } = pod.metadata ?? {};
  const lastTransitionTime = formatTime(clock.now());
  const conditions =
    condition === undefined ? [] : [observedCondition(pod, { ...condition, lastTransitionTime })];
  const body = { metadata: { uid }, status: { phase: 'Failed', observedGeneration: generation, conditions } };
  try {
    await client.patch(pods, { namespace, name }, { kind: 'strategic', body, subresource: 'status' });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}

async function remove({ client }: ControllerContext, pod: Pod): Promise<void> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  try {
    await client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
