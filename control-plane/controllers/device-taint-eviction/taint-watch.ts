import { selectsDevice } from '#api/device/device-taints.ts';
import { podClaimKeys } from '#api/device/pod-claims.ts';
import type {
  DeviceRequestAllocationResult,
  DeviceTaintRule,
  Pod,
  ResourceSlice,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { deviceTaintRules, resourceClaims, resourceSlices } from '#api/schema/kind-ref.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { Informers } from '#client/informers.ts';
import { planDeviceEviction, type KnownTaint } from './plan.ts';
import type { RuleFacts } from './rule-status.ts';

/** What is said of devices, and who was given which. */
export interface TaintWatch {
  readonly claims: WritableInformer<ResourceClaim>;
  readonly slices: WritableInformer<ResourceSlice>;
  /** Undefined: they are not served. */
  readonly rules: WritableInformer<DeviceTaintRule> | undefined;
}

export function watchTaints(informers: Informers, hasRules: boolean): TaintWatch {
  return {
    claims: informers.for(resourceClaims, { indexes: { devicePool: poolsOfClaim } }),
    slices: informers.for(resourceSlices, { indexes: { devicePool: (slice) => [poolOf(slice)] } }),
    rules: hasRules ? informers.for(deviceTaintRules) : undefined,
  };
}

export function taintsOf(
  { slices, rules }: TaintWatch,
  result: DeviceRequestAllocationResult,
): readonly KnownTaint[] {
  const { driver, pool, device } = result;
  const published = newest(slices.byIndex('devicePool', `${driver}/${pool}`)).flatMap(
    ({ spec }) => spec.devices?.find(({ name }) => name === device)?.taints ?? [],
  );
  const ruled = (rules?.list() ?? []).filter((rule) => selectsDevice(rule, { driver, pool, device }));
  return [
    ...published.map((taint) => ({ taint })),
    ...ruled.map(({ metadata, spec }) => ({ taint: spec.taint, rule: metadata?.name ?? '' })),
  ];
}

/** What a rule comes to; of one without effect what it would, were that NoExecute. */
export function factsOf(
  watch: TaintWatch,
  rule: DeviceTaintRule,
  { pods, evicted }: { readonly pods: readonly Pod[]; readonly evicted: number },
): RuleFacts {
  const { effect } = rule.spec.taint;
  const own = rule.metadata?.name ?? '';
  const none = { published: 0, allocated: 0, pods: 0, namespaces: 0, evicted };
  if (effect !== 'NoExecute' && effect !== 'None') return none;
  const going = pods.filter((pod) => {
    const claims = podClaimKeys(pod).flatMap((key) => watch.claims.get(key) ?? []);
    const taints = (result: DeviceRequestAllocationResult): readonly KnownTaint[] =>
      taintsOf(watch, result).map((known) =>
        known.rule === own ? { ...known, taint: { ...known.taint, effect: 'NoExecute' } } : known,
      );
    return claims.length > 0 && planDeviceEviction(pod, claims, taints)?.rules.includes(own) === true;
  });
  const results = watch.claims
    .list()
    .flatMap(({ status }) => status?.allocation?.devices?.results ?? [])
    .filter(({ driver, pool, device }) => selectsDevice(rule, { driver, pool, device }));
  return {
    published: effect === 'None' ? publishedOf(watch, rule) : 0,
    allocated: results.length,
    pods: going.length,
    namespaces: new Set(going.map(({ metadata }) => metadata?.namespace)).size,
    evicted,
  };
}

function publishedOf({ slices }: TaintWatch, rule: DeviceTaintRule): number {
  const pools = Map.groupBy(slices.list(), poolOf);
  return [...pools.values()]
    .flatMap(newest)
    .flatMap(({ spec: { driver, pool, devices = [] } }) =>
      devices.filter(({ name }) => selectsDevice(rule, { driver, pool: pool.name, device: name })),
    ).length;
}

export function poolOf({ spec }: ResourceSlice): string {
  return `${spec.driver}/${spec.pool.name}`;
}

export function usersOf({ metadata, status }: ResourceClaim): readonly string[] {
  return (status?.reservedFor ?? [])
    .filter(({ resource }) => resource === 'pods')
    .map(({ name }) => `${metadata?.namespace ?? ''}/${name}`);
}

function newest(slices: readonly ResourceSlice[]): readonly ResourceSlice[] {
  const generation = Math.max(...slices.map(({ spec }) => spec.pool.generation));
  return slices.filter(({ spec }) => spec.pool.generation === generation);
}

function poolsOfClaim({ status }: ResourceClaim): readonly string[] {
  const results = status?.allocation?.devices?.results ?? [];
  return [...new Set(results.map(({ driver, pool }) => `${driver}/${pool}`))];
}
