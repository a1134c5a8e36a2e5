import type { Backoff } from '#base/backoff.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import { objectKey } from '#api/meta/object.ts';
import { nodes, services } from '#api/schema/kind-ref.ts';
import type { LoadBalancerStatus, Node, Service } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import { onlySynced, runController, source, type Controller, type Source } from '#client/controller.ts';
import { updateAgain } from '#client/operator/update-again.ts';
import type { CloudLoadBalancers } from '#control-plane/cloud/cloud.ts';
import { makeMsMax, type CloudContext } from '#control-plane/cloud/cloud-context.ts';
import {
  balancedNodes,
  cleanupFinalizer,
  describeChange,
  needsCleanup,
  nodeKeyOf,
  planBalancer,
  wantsBalancer,
  type Ensured,
} from './plan.ts';

/** As upstream's: a cloud that refuses is not asked again at once. */
const backoff: Backoff = { initialMs: 5_000, factor: 2, maxMs: 300_000 };

/**
 * Has the cloud make, change and remove load balancers of Services, and writes their addresses (the service controller of k8s.io/cloud-provider). A Service
 * has a finalizer before anything is made for it, and keeps it until the cloud has removed all.
 * @param concurrencyMax `--concurrent-service-syncs`
 */
export function runCloudServices(
  context: CloudContext,
  balancers: CloudLoadBalancers,
  concurrencyMax: number,
): Controller {
  const { informers, clock, logger } = context;
  const informer = informers.for(services);
  const nodeInformer = informers.for(nodes);
  const recorder = context.recorder('service-controller');
  const work: Work = {
    ...{ context, balancers, ensured: new Map() },
    nodes: () => nodeInformer.list(),
    tell: (object, type, reason, message) =>
      recorder.record({ kind: services, object }, type, reason, message),
  };
  return runController({
    name: 'service-lb-controller',
    ...{ clock, logger, concurrencyMax, backoff, timeoutMs: makeMsMax },
    sources: [
      onlySynced(nodeInformer),
      source(informer, ({ key, old, current }) => {
        const told = old === undefined || current === undefined ? undefined : describeChange(old, current);
        if (told !== undefined && current !== undefined)
          work.tell(current, 'Normal', told.reason, told.message);
        return current === undefined || wantsBalancer(current) || needsCleanup(current) ? [key] : [];
      }),
      nodeChanges(context),
    ],
    reconcile: async (key, signal) => {
      const service = informer.get(key);
      if (service === undefined) return void work.ensured.delete(key);
      return reconcileService(work, service, signal);
    },
  });
}

/** All Services with balancers, when the nodes are others. */
function nodeChanges({ informers }: CloudContext): Source {
  const nodeInformer = informers.for(nodes);
  let before: string | undefined;
  return source(nodeInformer, () => {
    const now = nodeKeyOf(nodeInformer.list());
    if (now === before) return [];
    before = now;
    return informers.for(services).list().filter(wantsBalancer).map(objectKey);
  });
}

interface Work {
  readonly context: CloudContext;
  readonly balancers: CloudLoadBalancers;
  readonly nodes: () => readonly Node[];
  readonly tell: (service: Service, type: 'Normal' | 'Warning', reason: string, message: string) => void;
  /** By key. */
  readonly ensured: Map<string, Ensured>;
}

async function reconcileService(
  work: Work,
  service: Service,
  signal: AbortSignal,
): Promise<KeyOutcome | void> {
  const key = objectKey(service);
  const all = work.nodes();
  const known = { service, nodes: nodeKeyOf(all) };
  const plan = planBalancer(service, known.nodes, work.ensured.get(key));
  if (plan === 'leave') return undefined;
  if (plan === 'update') {
    await updateHosts(work, service, signal);
    work.ensured.set(key, known);
    return undefined;
  }
  try {
    if (plan === 'delete') {
      await removeBalancer(work, service, signal);
      work.ensured.delete(key);
      return undefined;
    }
    const waitMs = await ensureBalancer(work, service, signal);
    if (waitMs !== undefined) return { kind: 'again', afterMs: waitMs };
    work.ensured.set(key, known);
    return undefined;
  } catch (error) {
    const message = `Error syncing load balancer: ${describeError(error)}`;
    work.tell(service, 'Warning', 'SyncLoadBalancerFailed', message);
    throw error;
  }
}

/** With the words before it that upstream's errors have. */
async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new PodwrightError('E_INVALID', `${what}: ${describeError(error)}`, { cause: error });
  }
}

async function removeBalancer(work: Work, service: Service, signal: AbortSignal): Promise<void> {
  const { balancers, tell } = work;
  const there = await step('failed to check if load balancer exists before cleanup', () =>
    balancers.find(service, signal),
  );
  if (there !== undefined) {
    tell(service, 'Normal', 'DeletingLoadBalancer', 'Deleting load balancer');
    await step('failed to delete load balancer', () => balancers.delete(service, signal));
  }
  await step('failed to update load balancer status', () => writeStatus(work, service, {}));
  await step('failed to remove load balancer cleanup finalizer', () => setFinalizer(work, service, false));
  tell(service, 'Normal', 'DeletedLoadBalancer', 'Deleted load balancer');
}

/** @returns after how long the cloud is to be asked again; undefined: it is done */
async function ensureBalancer(
  work: Work,
  service: Service,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { balancers, tell } = work;
  tell(service, 'Normal', 'EnsuringLoadBalancer', 'Ensuring load balancer');
  await step('failed to add load balancer cleanup finalizer', () => setFinalizer(work, service, true));
  const hosts = balancedNodes(work.nodes());
  if (hosts.length === 0) tellNoNodes(work, service);
  const made = await step('failed to ensure load balancer', () => balancers.ensure(service, hosts, signal));
  if (made.kind === 'elsewhere') return undefined;
  if (made.kind === 'wait') {
    const message = `Error syncing load balancer: failed to ensure load balancer: ${made.reason}`;
    tell(service, 'Warning', 'SyncLoadBalancerFailed', message);
    return made.afterMs;
  }
  tell(service, 'Normal', 'EnsuredLoadBalancer', 'Ensured load balancer');
  await step('failed to update load balancer status', () => writeStatus(work, service, made.status));
  return undefined;
}

const tellNoNodes = ({ tell }: Work, service: Service): void =>
  tell(service, 'Warning', 'UnAvailableLoadBalancer', 'There are no available nodes for LoadBalancer');

async function updateHosts(work: Work, service: Service, signal: AbortSignal): Promise<void> {
  const { balancers, tell } = work;
  const hosts = balancedNodes(work.nodes());
  try {
    await balancers.update(service, hosts, signal);
  } catch (error) {
    if ((await balancers.find(service, signal)) === undefined) return;
    const names = hosts.map(({ metadata }) => metadata?.name ?? '').join(' ');
    const message = `Error updating load balancer with new hosts [${names}]: ${describeError(error)}`;
    tell(service, 'Warning', 'UpdateLoadBalancerFailed', message);
    throw error;
  }
  if (hosts.length === 0) tellNoNodes(work, service);
  else tell(service, 'Normal', 'UpdatedLoadBalancer', 'Updated load balancer with new hosts');
}

async function setFinalizer({ context }: Work, service: Service, isWanted: boolean): Promise<void> {
  const { namespace, name = '', uid } = service.metadata ?? {};
  try {
    const written = await updateAgain(
      context.client,
      { kind: services, namespace, name },
      (current) => {
        const before = current.metadata?.finalizers ?? [];
        if (current.metadata?.uid !== uid || before.includes(cleanupFinalizer) === isWanted) return undefined;
        const others = before.filter((each) => each !== cleanupFinalizer);
        const finalizers = isWanted ? [...others, cleanupFinalizer] : others;
        return { ...current, metadata: { ...current.metadata, finalizers } };
      },
      { clock: context.clock },
    );
    context.informers.for(services).observe(written);
  } catch (error) {
    if (!isNotFound(error) || isWanted) throw error;
  }
}

async function writeStatus({ context }: Work, service: Service, status: LoadBalancerStatus): Promise<void> {
  const { namespace, name = '', uid } = service.metadata ?? {};
  try {
    const written = await updateAgain(
      context.client,
      { kind: services, namespace, name, subresource: 'status' },
      (current) =>
        current.metadata?.uid !== uid || equalJson(current.status?.loadBalancer ?? {}, status)
          ? undefined
          : { ...current, status: { ...current.status, loadBalancer: status } },
      { clock: context.clock },
    );
    context.informers.for(services).observe(written);
  } catch (error) {
    // It went right after its finalizer did.
    if (!isNotFound(error)) throw error;
  }
}
