import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/json.ts';
import { resourceQuotas, type KindRef } from '#api/kind-ref.ts';
import type { Kind } from '#api/kinds.ts';
import type { JsonObject, KubeObject } from '#api/object.ts';
import { isRunningOrWill } from '#api/quota/pod-usage.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { Change, WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byNamespace } from '#control-plane/controllers/pods/owner-keys.ts';
import { countedKinds, isCountedOnly, planQuotaStatus } from './plan.ts';

/** The cache of a kind that no quota counted before is asked again after this. */
const unsyncedRetryMs = 50;

type Counted = KubeObject & JsonObject;

/** Tells in each quota's status how much of it is used. What is refused, the API server decides by itself. */
export function runResourceQuotas(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const quotas = informers.for(resourceQuotas, { indexes: { namespace: byNamespace } });
  const counted = new Map<Kind, WritableInformer<Counted>>();
  const handlers = new DisposableStack();
  /** Caches are kept for what some quota counts; most clusters have no quota. */
  const informerOf = (kind: Kind): WritableInformer<Counted> => {
    const found = counted.get(kind);
    if (found !== undefined) return found;
    const ref: KindRef<Counted> = kind;
    const informer = informers.for(ref, isCountedOnly(kind) ? { metadataOnly: true } : {});
    informer.ensureIndex('namespace', byNamespace);
    counted.set(kind, informer);
    const handler = informer.onChange((change) => {
      if (!mayChangeUsage(change)) return;
      const { namespace = '' } = (change.current ?? change.old)?.metadata ?? {};
      for (const quota of quotas.byIndex('namespace', namespace)) {
        controller.enqueue(`${namespace}/${quota.metadata?.name ?? ''}`);
      }
    });
    handlers.use(handler);
    return informer;
  };
  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const quota = quotas.get(key);
    if (quota === undefined || quota.metadata?.deletionTimestamp !== undefined) return undefined;
    const namespace = quota.metadata?.namespace ?? '';
    const isFull = countedKinds(quota).map((kind) => informerOf(kind).hasSynced);
    if (isFull.includes(false)) return { kind: 'again', afterMs: unsyncedRetryMs };
    const status = planQuotaStatus({ ...quota }, (kind) => informerOf(kind).byIndex('namespace', namespace));
    if (equalJson({ ...quota.status }, { ...status })) return undefined;
    try {
      quotas.observe(await client.update(resourceQuotas, { ...quota, status }, { subresource: 'status' }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return undefined;
  };
  const controller = runController({
    name: 'resourcequota-controller',
    clock,
    logger,
    sources: [source(quotas, ({ key, current }) => (current === undefined ? [] : [key]))],
    reconcile,
  });
  return {
    ...controller,
    [Symbol.asyncDispose]: async () => {
      handlers.dispose();
      await controller[Symbol.asyncDispose]();
    },
  };
}

/** Pods report all the time what costs nothing: only another spec and an end matter. */
function mayChangeUsage({ old, current }: Change<Counted>): boolean {
  if (old === undefined || current === undefined) return true;
  const { generation } = current.metadata ?? {};
  const isSame = generation !== undefined && old.metadata?.generation === generation;
  return !isSame || isRunningOrWill(old) !== isRunningOrWill(current);
}
