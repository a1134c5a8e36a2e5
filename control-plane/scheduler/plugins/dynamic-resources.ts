import { classableResources } from '#api/device/extended-resources.ts';
import { podClaimKeys } from '#api/device/pod-claims.ts';
import type { Pod, ResourceV1ResourceClaim as ResourceClaim } from '#api/generated/objects.ts';
import { changesOf } from '#control-plane/scheduler/cluster-event.ts';
import type { ClaimPicks } from '#control-plane/scheduler/devices/allocate.ts';
import { deviceClaimsFor, planDevices, usesDevices } from '#control-plane/scheduler/devices/plan-claims.ts';
import {
  passes,
  type FilterPlugin,
  type SchedulingContext,
  type ScorePlugin,
} from '#control-plane/scheduler/plugin.ts';

function hasClaims({ spec }: Pod): boolean {
  return (spec?.resourceClaims ?? []).length > 0;
}

/** A pod goes where its claims have devices, or can be given some. */
export const dynamicResourcesFilter: FilterPlugin = {
  name: 'DynamicResources',
  refuseAll: ({ pod, snapshot: { devices } }) => {
    if (devices === undefined) return hasClaims(pod) ? 'resourceclaims are not known' : undefined;
    if (!usesDevices(pod, devices)) return undefined;
    const claims = deviceClaimsFor(pod, devices);
    return typeof claims === 'string' ? claims : undefined;
  },
  filter: (context) => {
    const {
      pod,
      snapshot: { devices },
    } = context;
    if (devices === undefined || !usesDevices(pod, devices)) return undefined;
    const claims = deviceClaimsFor(pod, devices);
    if (typeof claims === 'string') return () => [claims];
    const ranks = claims.waiting.some(hasAlternatives) ? new Map<string, number>() : undefined;
    if (ranks !== undefined) rankOf.set(context, ranks);
    return ({ name, node }) => {
      const plan = planDevices(claims, node, devices);
      if (typeof plan === 'string') return [plan];
      ranks?.set(name, sumOf(plan));
      return passes;
    };
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'deviceClaim')
      return event.isFreed || podClaimKeys(pod).includes(event.key) || classableResources(pod).length > 0;
    if (event.kind === 'node')
      return changesOf(event, ({ metadata, status }) => [metadata?.labels, status?.allocatable]);
    return event.kind === 'devices';
  },
};

/** What the nodes of a decision have of what is preferred, as the filter found it: an allocation is not searched for twice. */
const rankOf = new WeakMap<SchedulingContext, ReadonlyMap<string, number>>();

/** Alternatives of a request (resource/v1 FirstAvailableDeviceRequestMaxSize). */
const alternativeCountMax = 8;

function hasAlternatives({ spec }: ResourceClaim): boolean {
  return spec.devices?.requests?.some(({ firstAvailable = [] }) => firstAvailable.length > 0) === true;
}

/** The first alternative of a request counts 8, the next 7. */
function sumOf(plan: readonly ClaimPicks[]): number {
  let sum = 0;
  for (const { claim, picks } of plan) {
    const chosen = new Set(picks.map(({ wanted }) => wanted.name));
    for (const { name, firstAvailable = [] } of claim.spec.devices?.requests ?? []) {
      const index = firstAvailable.findIndex((way) => chosen.has(`${name}/${way.name}`));
      if (index >= 0) sum += alternativeCountMax - index;
    }
  }
  return sum;
}

/** Nodes that have what claims would rather have. */
export const dynamicResourcesScore: ScorePlugin = {
  name: 'DynamicResources',
  weight: 2,
  normalization: 'proportional',
  score: (context) => {
    const ranks = rankOf.get(context);
    return ranks === undefined ? undefined : ({ name }) => ranks.get(name) ?? 0;
  },
};
