import { describeError } from '#base/errors.ts';
import type { KeyOutcome } from '#base/keyed-queue.ts';
import { shutdownTaint } from '#api/meta/cloud-node.ts';
import { findCondition } from '#api/meta/condition.ts';
import { formatTime } from '#api/meta/time.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import type { Node, Taint } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import { updateAgain } from '#client/operator/update-again.ts';
import type { CloudInstances } from '#control-plane/cloud/cloud.ts';
import { askMsMax, type CloudContext } from '#control-plane/cloud/cloud-context.ts';
import { isShutDown, planByInstance, planNode } from './plan.ts';

/**
 * Deletes nodes that are not ready and whose instance the cloud has not, taints those whose instance is stopped (CloudNodeLifecycleController of
 * k8s.io/cloud-provider).
 * @param periodMs `--node-monitor-period`: how often the cloud is asked about a node that is not ready
 */
export function runCloudNodeLifecycle(
  context: CloudContext,
  instances: CloudInstances,
  periodMs: number,
): Controller {
  const { informers, clock, logger } = context;
  const informer = informers.for(nodes);
  const recorder = context.recorder('cloud-node-lifecycle-controller');
  const askedAtMs = new Map<string, number>();

  const act = async (node: Node, signal: AbortSignal): Promise<KeyOutcome | void> => {
    const name = node.metadata?.name ?? '';
    const first = planNode(node, clock.now());
    if (first.kind === 'untaint') return setTaint(context, name, untainted);
    if (isReady(node)) return undefined;
    const again: KeyOutcome = { kind: 'again', afterMs: periodMs };
    if (first.kind === 'leave') return again;
    const leftMs = (askedAtMs.get(name) ?? -Infinity) + periodMs - clock.monotonic();
    if (leftMs > 0) return { kind: 'again', afterMs: leftMs };
    askedAtMs.set(name, clock.monotonic());
    const plan = planByInstance(node, await instances.find(node, signal));
    if (plan.kind === 'delete') await remove(context, recorder, node);
    if (plan.kind === 'taint') {
      const taint = { ...shutdownTaint, timeAdded: formatTime(clock.now()) };
      await setTaint(context, name, (taints) => [...untainted(taints), taint]);
    }
    return again;
  };
  return runController({
    name: 'cloud-node-lifecycle-controller',
    ...{ clock, logger, timeoutMs: askMsMax },
    sources: [
      source(informer, ({ key, old, current }) =>
        old !== undefined && current !== undefined && saysTheSame(old, current) ? [] : [key],
      ),
    ],
    reconcile: async (name, signal) => {
      const node = informer.get(name);
      if (node === undefined) return void askedAtMs.delete(name);
      try {
        return await act(node, signal);
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
  });
}

async function remove({ client }: CloudContext, recorder: EventRecorder, node: Node): Promise<void> {
  const { name = '', uid } = node.metadata ?? {};
  const regarding = { kind: nodes, object: node };
  const why = 'because it does not exist in the cloud provider';
  recorder.record(regarding, 'Normal', 'DeletingNode', `Deleting node ${name} ${why}`);
  try {
    await client.delete(nodes, { name }, { preconditions: { uid } });
  } catch (error) {
    if (isNotFound(error)) return;
    const message = `Failed deleting node ${name}: ${describeError(error)}`;
    recorder.record(regarding, 'Warning', 'DeletingNodeFailed', message);
    throw error;
  }
}

async function setTaint(
  { client, informers, clock }: CloudContext,
  name: string,
  change: (taints: readonly Taint[]) => readonly Taint[],
): Promise<void> {
  const changed = (current: Node): Node | undefined => {
    const taints = change(current.spec?.taints ?? []);
    const isSame = taints.length === (current.spec?.taints ?? []).length;
    return isSame ? undefined : { ...current, spec: { ...current.spec, taints } };
  };
  informers.for(nodes).observe(await updateAgain(client, { kind: nodes, name }, changed, { clock }));
}

const untainted = (taints: readonly Taint[]): readonly Taint[] =>
  taints.filter(({ key }) => key !== shutdownTaint.key);

const isReady = ({ status }: Node): boolean => findCondition(status?.conditions, 'Ready')?.status === 'True';

const saysTheSame = (a: Node, b: Node): boolean =>
  isReady(a) === isReady(b) && isShutDown(a) === isShutDown(b) && a.metadata?.uid === b.metadata?.uid;
