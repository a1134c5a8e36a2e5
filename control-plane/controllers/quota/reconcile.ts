import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import { resourceQuotas } from '#api/schema/kind-ref.ts';
import { isRunningOrWill } from '#api/quota/pod-usage.ts';
import type { KindName } from '#api/quota/usage.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { Change } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byNamespace } from '#control-plane/controllers/pods/owner-keys.ts';
import { createCountedCaches, type Counted } from './counted-caches.ts';
import { createKindFinder, discoverEveryMs, isBuiltIn, isNamed } from './kind-finder.ts';
import { countedNames, planQuotaStatus } from './plan.ts';

/** The cache of a kind that no quota counted before is asked again after this. */
const unsyncedRetryMs = 50;

/** Tells in each quota's status how much of it is used. What is refused, the API server decides by itself. */
export function runResourceQuotas(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const quotas = informers.for(resourceQuotas, { indexes: { namespace: byNamespace } });
  const finder = createKindFinder(client, clock);
  const caches = createCountedCaches(informers, (change) => {
    if (!mayChangeUsage(change)) return;
    const { namespace = '' } = (change.current ?? change.old)?.metadata ?? {};
    for (const quota of quotas.byIndex('namespace', namespace)) {
      controller.enqueue(`${namespace}/${quota.metadata?.name ?? ''}`);
    }
  });
  /** Ends the caches that no quota needs any more. */
  const endOthers = (missing: readonly KindName[]): Promise<void> =>
    caches.keep(
      quotas
        .list()
        .flatMap(countedNames)
        .filter((name) => !missing.some((one) => isNamed(one, name))),
    );
  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const quota = quotas.get(key);
    if (quota === undefined) return endOthers([]).then(() => undefined);
    if (quota.metadata?.deletionTimestamp !== undefined) return undefined;
    const namespace = quota.metadata?.namespace ?? '';
    const names = countedNames(quota);
    const kinds = await finder.find(names);
    const missing = names.filter((name) => !kinds.some((kind) => isNamed(kind, name)));
    if (missing.length > 0) await endOthers(missing);
    const isFull = kinds.map((kind) => caches.of(kind).hasSynced);
    if (isFull.includes(false)) return { kind: 'again', afterMs: unsyncedRetryMs };
    const status = planQuotaStatus({ ...quota }, kinds, (kind) =>
      caches.of(kind).byIndex('namespace', namespace),
    );
    // A kind that is not always there may come or go, and nobody tells.
    const outcome: KeyOutcome = names.every(isBuiltIn) ? done : { kind: 'again', afterMs: discoverEveryMs };
    if (equalJson({ ...quota.status }, { ...status })) return outcome;
    try {
      quotas.observe(await client.update(resourceQuotas, { ...quota, status }, { subresource: 'status' }));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return outcome;
  };
  const controller = runController({
    name: 'resourcequota-controller',
    clock,
    logger,
    sources: [source(quotas, ({ key }) => [key])],
    reconcile,
  });
  return {
    ...controller,
    [Symbol.asyncDispose]: async () => {
      caches[Symbol.dispose]();
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
