import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import { splitKey } from '#api/meta/object.ts';
import { equalJson } from '#api/wire/json.ts';
import { resourceQuotas } from '#api/schema/kind-ref.ts';
import type { KindName } from '#api/quota/usage.ts';
import type { ResourceQuota } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import { versionOf } from '#client/resource-version.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byNamespace } from '#control-plane/controllers/pods/owner-keys.ts';
import { createAroundClaims } from './around-claims.ts';
import { createCountedCaches } from './counted-caches.ts';
import { createKindFinder, discoverEveryMs, isBuiltIn, isNamed } from './kind-finder.ts';
import { createPatience } from './patience.ts';
import { asToldOf, countedNames, planQuotaStatus } from './plan.ts';
import { Tallies } from './tally.ts';

/** The cache of a kind that no quota counted before is asked again after this. */
const unsyncedRetryMs = 50;

/**
 * The API server says in a quota what is used of it as it lets an object in, so a quota may be ahead of the caches, which would tell the
 * past; so long at most, as no cache learns that nothing of its kind has changed.
 */
const behindMsMax = 1000;

/** Tells in each quota's status how much of it is used. What is refused, the API server decides by itself. */
export function runResourceQuotas(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const quotas = informers.for(resourceQuotas, { indexes: { namespace: byNamespace } });
  const aroundClaims = createAroundClaims(informers);
  const finder = createKindFinder(client, clock);
  const tallies = new Tallies();
  const caches = createCountedCaches(informers, (kind, change) => {
    const { namespace = '' } = (change.current ?? change.old)?.metadata ?? {};
    for (const name of tallies.change(namespace, kind, change)) controller.enqueue(`${namespace}/${name}`);
  });
  /** Ends the caches that no quota needs any more. */
  const endOthers = (missing: readonly KindName[]): Promise<void> =>
    caches.keep(quotas.list().flatMap(countedNames).filter(isNoneOf(missing)));
  const behind = createPatience(clock, behindMsMax);
  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const quota = quotas.get(key);
    if (quota === undefined) {
      behind.end(key);
      const { namespace = '', name } = splitKey(key);
      tallies.forget(namespace, name);
      return endOthers([]);
    }
    if (quota.metadata?.deletionTimestamp !== undefined) return undefined;
    const names = countedNames(quota);
    const kinds = await finder.find(names);
    const missing = names.filter((name) => !kinds.some((kind) => isNamed(kind, name)));
    if (missing.length > 0) await endOthers(missing);
    const isFull = kinds.map((kind) => caches.of(kind).hasSynced);
    if (isFull.includes(false)) return { kind: 'again', afterMs: unsyncedRetryMs };
    const nowMs = clock.now();
    let untilMs = names.every(isBuiltIn) ? Infinity : nowMs + discoverEveryMs;
    const status = planQuotaStatus(quota, kinds, (kind) => {
      const tally = tallies.used(
        { ...quota },
        aroundClaims.counted({ kind, objects: caches.of(kind), nowMs }),
      );
      untilMs = Math.min(untilMs, tally.untilMs + 1);
      return tally.used;
    });
    // A kind that is not always there may come or go, and time passes: nobody tells.
    const outcome: KeyOutcome =
      untilMs === Infinity ? done : { kind: 'again', afterMs: Math.max(1, untilMs - nowMs) };
    const isNews = !equalJson({ ...quota.status }, { ...status });
    const late = isNews ? kinds.filter((kind) => caches.of(kind).version < versionOf(quota)) : [];
    const waitMs = late.length === 0 ? 0 : behind.leftMs(key);
    const told = waitMs > 0 ? asToldOf(late, status, quota.status) : status;
    if (!equalJson({ ...quota.status }, { ...told })) await tell(context, { ...quota, status: told });
    if (!equalJson({ ...told }, { ...status })) return { kind: 'again', afterMs: waitMs };
    behind.end(key);
    return outcome;
  };
  const controller = runController({
    name: 'resourcequota-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [source(quotas, ({ key }) => [key]), ...aroundClaims.sources(tallies)],
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

function isNoneOf(kinds: readonly KindName[]): (name: KindName) => boolean {
  return (name) => !kinds.some((one) => isNamed(one, name));
}

/** Whoever deletes it meanwhile is right. */
async function tell({ informers, client }: ControllerContext, quota: ResourceQuota): Promise<void> {
  try {
    const told = await client.update(resourceQuotas, quota, { subresource: 'status' });
    informers.for(resourceQuotas).observe(told);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
