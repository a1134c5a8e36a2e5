import type { KeyOutcome } from '#base/keyed-queue.ts';
import { PodwrightError } from '#base/errors.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import type { Node } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import { ownKey, runController, type Controller } from '#client/controller.ts';
import { updateAgain } from '#client/operator/update-again.ts';
import type { CloudInstance, CloudInstances } from '#control-plane/cloud/cloud.ts';
import { askMsMax, type CloudContext } from '#control-plane/cloud/cloud-context.ts';
import { isUninitialized, planAddresses, planInitialized, planLabels, planOtherNames } from './plan.ts';

export interface CloudNodeSettings {
  /** `--node-status-update-frequency`: how often the cloud is asked again about each node. */
  readonly statusUpdateMs: number;
  /** `--concurrent-node-syncs` */
  readonly concurrencyMax: number;
}

/**
 * Asks the cloud about nodes that kubelets registered with the uninitialized taint, writes what it says (providerID, labels, addresses), and takes the
 * taint away; then keeps addresses and the cloud's labels current (CloudNodeController of k8s.io/cloud-provider).
 */
export function runCloudNodes(
  context: CloudContext,
  instances: CloudInstances,
  { statusUpdateMs, concurrencyMax }: CloudNodeSettings,
): Controller {
  const { informers, clock, logger } = context;
  const informer = informers.for(nodes);
  const recorder = context.recorder('cloud-node-controller');
  /** When the cloud was asked about a node, by our clock: a node changes far more often than its instance does. */
  const askedAtMs = new Map<string, number>();
  const ask = async (node: Node, signal: AbortSignal): Promise<CloudInstance | undefined> => {
    askedAtMs.set(node.metadata?.name ?? '', clock.monotonic());
    return instances.find(node, signal);
  };

  const refresh = async (name: string, node: Node, signal: AbortSignal): Promise<KeyOutcome> => {
    const asked = askedAtMs.get(name);
    const leftMs = asked === undefined ? 0 : asked + statusUpdateMs - clock.monotonic();
    await writeLabels(context, node, planOtherNames(node));
    if (leftMs > 0) return { kind: 'again', afterMs: leftMs };
    const instance = await ask(node, signal);
    // That it is gone is seen by who deletes nodes.
    if (instance !== undefined) {
      await writeAddresses(context, node, instance);
      await writeLabels(context, node, planLabels(node, instance));
    }
    return { kind: 'again', afterMs: statusUpdateMs };
  };
  return runController({
    name: 'cloud-node-controller',
    ...{ clock, logger, concurrencyMax, timeoutMs: askMsMax },
    sources: [ownKey(informer)],
    reconcile: async (name, signal) => {
      const node = informer.get(name);
      if (node === undefined) return void askedAtMs.delete(name);
      if (!isUninitialized(node)) return refresh(name, node, signal);
      const instance = await ask(node, signal);
      if (instance === undefined)
        throw failure(name, `the cloud ${context.cloud.name} has no instance for it`);
      await initialize(context, node, instance);
      recorder.record({ kind: nodes, object: node }, 'Normal', 'Synced', 'Node synced successfully');
      return { kind: 'again', afterMs: statusUpdateMs };
    },
  });
}

const failure = (name: string, why: string): PodwrightError =>
  new PodwrightError('E_INVALID', `initialize node ${name}: ${why}`);

/** Addresses first: pods come to it as soon as the taint is gone. */
async function initialize(context: CloudContext, node: Node, instance: CloudInstance): Promise<void> {
  const name = node.metadata?.name ?? '';
  const planned = planInitialized(node, instance);
  if ('problem' in planned) throw failure(name, planned.problem);
  await writeAddresses(context, node, instance);
  const written = await updateAgain(
    context.client,
    { kind: nodes, name },
    (current) => {
      if (!isUninitialized(current)) return undefined;
      const next = planInitialized(current, instance);
      if ('problem' in next) throw failure(name, next.problem);
      return next.node;
    },
    { clock: context.clock },
  );
  context.informers.for(nodes).observe(written);
}

async function writeAddresses(
  { client, informers }: CloudContext,
  node: Node,
  instance: CloudInstance,
): Promise<void> {
  const name = node.metadata?.name ?? '';
  const plan = planAddresses(node, instance);
  if ('problem' in plan)
    throw failure(name, `provided node ip for node ${JSON.stringify(name)} is not valid: ${plan.problem}`);
  if (plan.addresses === undefined) return;
  // By type as merge key there could not be two of one type.
  const addresses = [{ $patch: 'replace' }, ...plan.addresses];
  const body = { metadata: { uid: node.metadata?.uid }, status: { addresses } };
  const written = await client.patch(nodes, { name }, { kind: 'strategic', body, subresource: 'status' });
  informers.for(nodes).observe(written);
}

async function writeLabels(
  { client, informers }: CloudContext,
  node: Node,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  if (Object.keys(labels).length === 0) return;
  const { name = '', uid } = node.metadata ?? {};
  try {
    const body = { metadata: { uid, labels } };
    informers.for(nodes).observe(await client.patch(nodes, { name }, { kind: 'merge', body }));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
